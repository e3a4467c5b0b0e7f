"""What the tests, the benchmarks, chaos and soak share: a real server, clients of it, and what stands behind it.

The virtual environment that `make` builds has this folder's parent on its path; nothing else has to be set up.
"""

from harness.athena import Athena, Result
from harness.places import COMMON, ENGINES, ERGANE, ROOT, clean_env, common_folder
from harness.running import end, running
from harness.server import Server
from harness.waiting import LIMIT, NotInTime, wait_for

__all__ = [
    "COMMON",
    "ENGINES",
    "ERGANE",
    "LIMIT",
    "ROOT",
    "Athena",
    "NotInTime",
    "Result",
    "Server",
    "clean_env",
    "common_folder",
    "end",
    "running",
    "wait_for",
]
