"""The processes that user code started: they get an interrupt, too, as with ^C in a terminal."""

from __future__ import annotations

from os import close, getpgrp, getpid, listdir, pidfd_open
from signal import SIGINT, pidfd_send_signal


def interrupt_children(spare: int | None) -> int:
    """Sends SIGINT to our descendants in our process group, except spare (the JVM) and below. Returns how many.

    A process that left the group (setsid, a daemon) does not get it, which is intended.
    """
    group = getpgrp()
    count = 0
    found = [pid for pid in _children(getpid()) if pid != spare]
    while found:
        pid = found.pop()
        found.extend(_children(pid))
        if _group(pid) == group and _signal(pid, group):
            count += 1
    return count


def _signal(pid: int, group: int) -> bool:
    try:
        handle = pidfd_open(pid)
    except OSError:
        return False
    try:
        if _group(pid) != group:  # the pid was reused before we opened it
            return False
        pidfd_send_signal(handle, SIGINT)
        return True
    except OSError:
        return False
    finally:
        close(handle)


def _children(pid: int) -> list[int]:
    pids: list[int] = []
    try:
        for thread in listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                pids.extend(int(child) for child in file.read().split())
    except OSError:
        pass  # it has ended meanwhile
    return pids


def _group(pid: int) -> int | None:
    """The process group of pid; None for a process that has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state, _, group = file.read().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(group)
