"""One calculation in the kernel: its folder, its orders, its end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .files import exists
from .threads import Latch

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def valid_id(value: object) -> bool:
    """Whether value is an id that can be a folder's name."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


@dataclass(eq=False)
class Calculation:
    id: str
    folder: str
    interrupted: bool = False  # ordered to stop; guarded by the dispatcher's lock
    asked: bool = False  # an order with strike is not taken yet; set by the dispatcher, taken by the main thread
    closed: bool = False  # user code has ended, an order to stop is too late; guarded by the dispatcher's lock
    finishing: bool = False  # its outcome is about to appear; guarded by the dispatcher's lock
    raised: bool = False  # KeyboardInterrupt was raised in it
    killed: bool = False  # the sweep stopped something of it: a job or a child process
    thread: int = 0  # id of the JVM's thread that serves the main thread's calls; 0: none
    ended: Latch = field(default_factory=Latch)  # user code has ended
    swept: Latch = field(default_factory=Latch)  # and nothing of it runs in Spark

    @property
    def marker(self) -> str:
        return f"{self.folder}/interrupt"

    @property
    def waits(self) -> bool:
        """Whether there is an order to stop that the block has not taken."""
        return self.asked or exists(self.marker)

    @property
    def begun(self) -> bool:
        """Whether it was ever started, as far as its folder shows."""
        return exists(f"{self.folder}/started.json") or exists(f"{self.folder}/outcome.json")

    @property
    def written(self) -> bool:
        return exists(f"{self.folder}/code.py")

    def state(self, failed: bool) -> str:
        """How it ended. If an order to stop had no effect, that is the end of the code itself."""
        if self.interrupted and (self.killed or (failed and self.raised)):
            return "CANCELED"
        return "FAILED" if failed else "COMPLETED"
