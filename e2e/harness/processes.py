"""Processes of this machine, as /proc shows them. A process may end during each look; none of these fails for that."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.waiting import wait_for

GONE_LIMIT = 60  # seconds until what was killed or has ended is gone


def all_pids() -> Iterator[int]:
    """Every process of this machine, zombies too."""
    return (int(proc.name) for proc in Path("/proc").iterdir() if proc.name.isdigit())


def command_line(pid: int) -> bytes:
    """The arguments of a process, each with a NUL at its end; nothing if it has ended or is ending."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descriptors(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(fd))
    return found


def processes_at(folder: Path) -> set[int]:
    """Every other process that has the folder on its command line, or works or has a file open in it."""
    found = set()
    for pid in all_pids():
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            text = [
                command_line(pid).decode(errors="replace"),
                os.readlink(f"/proc/{pid}/cwd"),
                *descriptors(pid),
            ]
            if any(str(folder) in t for t in text):
                found.add(pid)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def kill(pid: int) -> None:
    """kill -9, and the process is gone when this returns."""
    os.kill(pid, signal.SIGKILL)
    wait_for(f"end of process {pid}", lambda: not alive(pid), GONE_LIMIT)


def memory(pids: Iterable[int], kind: str = "Pss") -> float:
    """Megabytes of processes that stay: their proportional set size, or another line of smaps_rollup."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(kind + ":"):
                total += int(line.split()[1])
    return total / 1024
