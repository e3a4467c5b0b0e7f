"""Print what the catalog costs. bench/run.py runs it, too.

python bench/catalog.py [SESSIONS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from figures import row
from harness import Athena, Server, running
from harness.processes import all_pids, command_line, memory
from pool import await_kernel, run

CALL = "spark.sql('show databases').collect()"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ergane-bench-") as tmp:
        catalog(Path(tmp), int(sys.argv[1]) if len(sys.argv) > 1 else 5)


def catalog(tmp: Path, sessions: int) -> None:
    with (
        running(tmp / "shared", "--catalog", "auto") as shared,
        running(tmp / "alone", "--catalog", "off") as alone,
    ):
        starts(shared, alone, sessions)
        calls(shared, alone, sessions)


def starts(shared: Server, alone: Server, sessions: int) -> None:
    took: dict[Server, list[float]] = {shared: [], alone: []}
    for _ in range(sessions):
        for server in (shared, alone):
            athena = Athena(server)
            begun = time.perf_counter()
            sid = athena.session()
            took[server].append(1000 * (time.perf_counter() - begun))
            athena.terminate(sid)
    row("StartSession to IDLE, one catalog for all", took[shared], "ms")
    row("the same, `--catalog off`", took[alone], "ms")
    assert metastore(shared) == 0, "it is absent until it is used"


def calls(shared: Server, alone: Server, sessions: int) -> None:
    athena = Athena(shared)
    sid = athena.session()
    row("the very first catalog call, which starts the metastore", [run(athena, sid, CALL)], "ms")
    athena.terminate(sid)
    first: dict[Server, list[float]] = {shared: [], alone: []}
    later: dict[Server, list[float]] = {shared: [], alone: []}
    for _ in range(sessions):
        for server in (shared, alone):
            athena = Athena(server)
            sid = athena.session()
            first[server].append(run(athena, sid, CALL))
            later[server] += [run(athena, sid, CALL) for _ in range(10)]
            athena.terminate(sid)
    row("a cold session's first catalog call", first[shared], "ms")
    row("the same, `--catalog off`", first[alone], "ms")
    row("its later ones", later[shared], "ms")
    row("the same, `--catalog off`", later[alone], "ms")
    warm(shared, sessions)
    row("the metastore after that, proportional set size", [memory([metastore(shared)])], "MB")
    row("… resident set size", [memory([metastore(shared)], "Rss")], "MB")


def warm(server: Server, sessions: int) -> None:
    server.stop()
    server.start("--catalog", "auto", "--pool", "1", "--pool-max", "1")
    athena = Athena(server)
    await_kernel(server)
    sid = athena.session()
    run(athena, sid, CALL)  # from here on kernels warm up in the catalog, too
    athena.terminate(sid)
    took = []
    for _ in range(sessions + 1):
        await_kernel(server)
        sid = athena.session()
        took.append(run(athena, sid, CALL))
        athena.terminate(sid)
    row("the first catalog call of a session from the pool", took[1:], "ms")


def metastore(server: Server) -> int:
    """The catalog's process; 0 while it does not run."""
    folder = str(server.data_dir / "metastore" / "work" / "Metastore.java").encode()
    return next((pid for pid in all_pids() if folder in command_line(pid).split(b"\0")), 0)


if __name__ == "__main__":
    main()
