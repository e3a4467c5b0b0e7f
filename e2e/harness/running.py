"""A server for a while, and an end that leaves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from harness.athena import Athena
from harness.server import Server
from harness.sessions import waiting_kernels
from harness.waiting import wait_for


@contextlib.contextmanager
def running(folder: Path, *args: str) -> Iterator[Server]:
    """A server started with these arguments, whose data dir and log are in the folder."""
    folder.mkdir(exist_ok=True)
    server = Server(folder / "data").start(*args)
    try:
        yield server
    finally:
        end(server)


def end(server: Server) -> None:
    """Terminate every session, stop the server, and see that nothing is left of them."""
    if server.down:
        server.start()
    athena = Athena(server)
    live = []
    for group in athena.api.list_work_groups()["WorkGroups"]:
        for s in athena.api.list_sessions(WorkGroup=group["Name"])["Sessions"]:
            athena.api.terminate_session(SessionId=s["SessionId"])
            live.append(s["SessionId"])
        for state in ("DEGRADED", "TERMINATING"):
            others = athena.api.list_sessions(WorkGroup=group["Name"], StateFilter=state)
            for s in others["Sessions"]:
                athena.api.terminate_session(SessionId=s["SessionId"])
                live.append(s["SessionId"])
    for sid in live:
        athena.await_session(sid, leave="TERMINATING")
    assert server.stop() == 0
    if "--pool" in server.args:  # kernels that wait are left to the next server, for a while
        server.start(*server.args, "--pool", "0")
        wait_for("end of the pool", lambda: not waiting_kernels(server))
        assert server.stop() == 0
    wait_for("end of all processes", lambda: not server.session_processes())
