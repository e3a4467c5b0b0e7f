"""What stands behind a server's sessions: their folders, processes and control groups, and the embedded S3."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from harness.processes import GONE_LIMIT, alive, all_pids
from harness.server import Server
from harness.waiting import wait_for


def folder(server: Server, sid: str) -> Path:
    return server.data_dir / "sessions" / sid


def kernel_pid(server: Server, sid: str) -> int:
    """The Python process that runs the session's code; the shim has written it down."""
    return int(json.loads((folder(server, sid) / "handle.json").read_text())["pid"])


def shim_pid(server: Server, sid: str) -> int:
    return int(json.loads((folder(server, sid) / "handle.json").read_text())["shim_pid"])


def s3_pid(server: Server) -> int:
    """The embedded S3."""
    return int(json.loads((server.data_dir / "s3.json").read_text())["pid"])


def waiting_kernels(server: Server) -> list[str]:
    """The ids of the kernels that were started ahead, and that no session has claimed."""
    work = (path.parent / "work" for path in (server.data_dir / "sessions").glob("*/ahead.json"))
    return [folder.parent.name for folder in work if folder.exists() and not (folder / "claim.json").exists()]


def ready_kernels(server: Server) -> list[str]:
    """Those of them that are ready for a session."""
    return [kid for kid in waiting_kernels(server) if (folder(server, kid) / "work" / "ready.json").exists()]


def family(server: Server, sid: str) -> list[int]:
    """Every process of a session: those that carry its id, and those that work in its folder."""
    mark, place = f"ERGANE_SESSION={sid}".encode(), str(folder(server, sid))
    found = []
    for pid in filter(alive, all_pids()):
        proc = Path(f"/proc/{pid}")
        with contextlib.suppress(OSError):
            if mark in (proc / "environ").read_bytes().split(b"\0") or os.readlink(proc / "cwd").startswith(place):
                found.append(pid)
    return found


def outside(server: Server, sid: str, *pids: int) -> list[int]:
    """The numbers that this machine has for processes of a live session, which knows them by others."""
    space = os.readlink(f"/proc/{kernel_pid(server, sid)}/ns/pid")
    numbers = {}
    for pid in all_pids():
        proc = Path(f"/proc/{pid}")
        with contextlib.suppress(OSError):
            if os.readlink(proc / "ns/pid") == space:
                known = next(s for s in (proc / "status").read_text().splitlines() if s.startswith("NSpid:"))
                numbers[int(known.split()[-1])] = pid
    return [numbers[pid] for pid in pids]


def await_nothing_left(server: Server, sid: str) -> None:
    """Nothing runs of an ended session, and only its logs are left of its files."""
    wait_for(f"end of all processes of session {sid}", lambda: not family(server, sid), GONE_LIMIT)
    work = folder(server, sid) / "work"
    wait_for(f"removal of {work}", lambda: not work.exists(), GONE_LIMIT)
    wait_for("end of its group", lambda: all(g.name != sid for g in groups_of(server)), GONE_LIMIT)


def groups_of(server: Server) -> list[Path]:
    """The folders of the control groups that there are of a server's sessions, in every hierarchy."""
    above = "ergane-" + hashlib.sha256(str(server.data_dir).encode()).hexdigest()[:8]
    found = []
    for place, names, _ in os.walk("/sys/fs/cgroup"):
        if above in names:
            with contextlib.suppress(FileNotFoundError):  # the last one may go meanwhile
                found += [path for path in (Path(place) / above).iterdir() if path.is_dir()]
    return found
