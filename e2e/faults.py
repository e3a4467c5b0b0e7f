"""What tests see of the processes behind a server, and do to them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
from pathlib import Path

from conftest import Server, wait_for, waiting_kernels

GONE_LIMIT = 60


def folder(server: Server, sid: str) -> Path:
    return server.data_dir / "sessions" / sid


def kernel_pid(server: Server, sid: str) -> int:
    """The Python process that runs the session's code; the shim has written it down."""
    return int(json.loads((folder(server, sid) / "handle.json").read_text())["pid"])


def shim_pid(server: Server, sid: str) -> int:
    return int(json.loads((folder(server, sid) / "handle.json").read_text())["shim_pid"])


def store_pid(server: Server) -> int:
    """The embedded S3."""
    return int(json.loads((server.data_dir / "s3.json").read_text())["pid"])


def kill(pid: int) -> None:
    """kill -9, and the process is gone when this returns."""
    os.kill(pid, signal.SIGKILL)
    wait_for(f"end of process {pid}", GONE_LIMIT, lambda: None if alive(pid) else True)


def waiting_of(server: Server) -> list[str]:
    """The kernels that were started ahead, are ready, and that no session has claimed."""
    return [sid for sid in waiting_kernels(server) if (folder(server, sid) / "work" / "ready.json").exists()]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def family(server: Server, sid: str) -> list[int]:
    """Every process of a session: those that carry its id, and those that work in its folder."""
    mark, place = f"ERGANE_SESSION={sid}".encode(), str(folder(server, sid))
    found = []
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit() or not alive(int(proc.name)):
            continue
        with contextlib.suppress(OSError):
            if mark in (proc / "environ").read_bytes().split(b"\0") or os.readlink(proc / "cwd").startswith(place):
                found.append(int(proc.name))
    return found


def outside(server: Server, sid: str, *pids: int) -> list[int]:
    """The numbers that this machine has for processes of a live session, which knows them by others."""
    space = os.readlink(f"/proc/{kernel_pid(server, sid)}/ns/pid")
    numbers = {}
    for proc in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if proc.name.isdigit() and os.readlink(proc / "ns/pid") == space:
                known = next(s for s in (proc / "status").read_text().splitlines() if s.startswith("NSpid:"))
                numbers[int(known.split()[-1])] = int(proc.name)
    return [numbers[pid] for pid in pids]


def await_nothing_left(server: Server, sid: str) -> None:
    """Nothing runs of an ended session, and only its logs are left of its files."""
    wait_for(f"end of all processes of session {sid}", GONE_LIMIT, lambda: None if family(server, sid) else True)
    work = folder(server, sid) / "work"
    wait_for(f"removal of {work}", GONE_LIMIT, lambda: None if work.exists() else True)
    wait_for("end of its group", GONE_LIMIT, lambda: None if any(g.name == sid for g in groups_of(server)) else True)


def errors(server: Server) -> list[str]:
    """What the server itself calls an error in its log."""
    return [line for line in server.log.read_text().splitlines() if "level=ERROR" in line]


def groups_of(server: Server) -> list[Path]:
    """The folders of the control groups that there are of a server's sessions, in every hierarchy."""
    above = "ergane-" + hashlib.sha256(str(server.data_dir).encode()).hexdigest()[:8]
    found = []
    for place, names, _ in os.walk("/sys/fs/cgroup"):
        if above in names:
            with contextlib.suppress(FileNotFoundError):  # the last one may go meanwhile
                found += [path for path in (Path(place) / above).iterdir() if path.is_dir()]
    return found
