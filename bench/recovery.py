"""Print how long a client waits after kill -9 of the server in mid-calculation. bench/run.py runs it, too.

The next server is started at once. Measured from the kill: to the first answer about the calculation, and to its true
end seen; the calculation ends while no server is there, or soon after.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ConnectionError, HTTPClientError

from figures import row
from harness import Athena, Server, running
from polling import await_state

# Reads are not held, so that RUNNING is seen.
PLAIN = ("--hold", "0")
CODE = "import time\ntime.sleep(0.2)\nprint('x')"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ergane-bench-") as tmp:
        recovery(Path(tmp), 20)


def recovery(tmp: Path, rounds: int) -> None:
    with running(tmp / "recovery", *PLAIN) as server:
        sid = Athena(server).session()
        recover(server, sid, CODE, rounds, "1 session")


def recover(
    server: Server, sid: str, code: str, rounds: int, what: str, recovered: Callable[[], None] = lambda: None
) -> None:
    """recovered is called after each round."""
    athena = Athena(server, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    answers, ends = [], []
    for _ in range(rounds):
        cid = athena.submit(sid, code)
        seen(athena, cid, "RUNNING")
        server.kill()
        begun = time.perf_counter()
        server.launch()
        first = seen(athena, cid, "RUNNING", "COMPLETED")
        answers.append(time.perf_counter() - begun)
        if first != "COMPLETED":
            seen(athena, cid, "COMPLETED")
        ends.append(time.perf_counter() - begun)
        server.await_ready()
        got: Any = athena.api.get_calculation_execution(CalculationExecutionId=cid)
        assert athena.read(got["Result"]["StdOutS3Uri"]) == b"x\n"
        recovered()
    row(f"kill -9 of the server, {what}: to the first answer about a calculation", answers, "s")
    row(f"kill -9 of the server, {what}: to the calculation's end seen", ends, "s")


def seen(athena: Athena, cid: str, *wanted: str) -> str:
    """The first of the wanted states, also from a server that is not there yet."""
    return await_state(athena, cid, *wanted, pause=0.002, despite=(ConnectionError, HTTPClientError))


if __name__ == "__main__":
    main()
