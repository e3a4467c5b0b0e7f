"""The processes that the measurement has started, and nothing else: counted, weighed and ended.

The runner is made the parent of whatever its descendants leave behind, so that none gets out of sight.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from harness import NotInTime, wait_for

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(of: int | None = None, without: Iterable[int] = ()) -> set[int]:
    """Every living process below one, by default the runner; those in without are left out, their children are not."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # The name may have spaces and brackets; what follows it does not.
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(folder.name))
    found: set[int] = set()
    todo = [of or os.getpid()]
    while todo:
        for child in children.get(todo.pop(), []):
            found.add(child)
            todo.append(child)
    return found - set(without)


def pss(pids: Iterable[int]) -> float:
    """Megabytes of proportional set size: what several processes share is counted once, in parts."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def available() -> float:
    """Megabytes that the machine still has."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    raise OSError("no MemAvailable in /proc/meminfo")


def end_all(pids: Iterable[int]) -> None:
    """kill -9, and wait until they are gone."""
    left = set(pids)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(NotInTime):
        wait_for("end of these processes", lambda: not left & descendants(), 30)
    for pid in left:  # those that were left to us
        with contextlib.suppress(OSError):
            os.waitpid(pid, os.WNOHANG)
