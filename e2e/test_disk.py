"""The disk of the data folder is full, out of inodes or read-only; the database is damaged or of the future."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness import ERGANE, Athena, Server, clean_env, end, wait_for
from harness.processes import alive, kill
from harness.sessions import await_nothing_left, kernel_pid

MORE = 3000  # inodes


class Disk:
    """A small file system of the data folder's own."""

    def __init__(self, at: Path) -> None:
        self.at = at
        at.mkdir(mode=0o700)
        run("mount", "-t", "tmpfs", "-o", f"size=256m,nr_inodes={MORE},mode=0700", "none", str(at))

    def fill_with(self, what: str) -> None:
        with contextlib.suppress(OSError):
            if what == "bytes":
                with (self.at / "filler").open("wb", buffering=0) as f:
                    while True:
                        f.write(b"x" * 4096)
            for n in range(MORE):
                (self.at / f"filler{n}").touch()
        assert any(self.at.glob("filler*"))

    def empty(self) -> None:
        for path in self.at.glob("filler*"):
            path.unlink()


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.fail("a file system of its own is for root to mount: run this file as root")
    disk = Disk(tmp_path_factory.mktemp("disk") / "data")
    yield disk
    wait_for("end of all users of the disk", lambda: unmounted(disk.at))


def unmounted(at: Path) -> bool:
    return subprocess.run(["umount", at], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def server(disk: Disk) -> Iterator[Server]:
    server = Server(disk.at).start()
    yield server
    disk.empty()
    end(server)
    # Whatever the disk did, the database is whole.
    with contextlib.closing(sqlite3.connect(disk.at / "ergane.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.fixture(scope="module")
def athena(server: Server) -> Athena:
    return Athena(server, retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def session(athena: Athena) -> str:
    sid = athena.session()
    assert athena.run(sid, "precious = 41").state == "COMPLETED"
    return sid


def told(call: Callable[[], object]) -> str:
    """What the server says of why it cannot do something, or nothing if it can."""
    try:
        call()
    except (ClientError, AssertionError) as e:  # the latter is what Athena makes of a 5xx
        return str(e)
    return ""


FULL = "The server could not carry out the request: the disk that holds the database is full. Its operator has to"


def assert_whole(server: Server, athena: Athena, sid: str) -> None:
    assert athena.await_session(sid, leave="BUSY")["State"] == "IDLE"
    got = athena.run(sid, "print(precious + 1, spark.range(7).count())")
    assert (got.state, got.stdout) == ("COMPLETED", b"42 7\n"), got.stderr


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_a_full_disk_is_told_and_outlived(
    disk: Disk, server: Server, athena: Athena, session: str, common: Path, what: str
) -> None:
    marks, go = common / "marks", common / "go"
    busy = athena.submit(
        session,
        "import pathlib, time\nprint('x' * 100_000, flush=True)\n"
        f"with open({str(marks)!r}, 'a') as f:\n    f.write('x')\n"
        f"while not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.01)",
    )
    wait_for("code that runs", marks.exists)
    athena.await_running(busy)
    disk.fill_with(what)
    before = complaints(server)
    # What only reads is answered; what has to write says why it cannot, or fails for that.
    assert athena.state(busy) == "RUNNING"
    assert athena.status(session)["State"] == "BUSY"
    refused = told(lambda: starts(athena))
    assert FULL in refused or "no space left on device" in refused
    go.touch()
    outcome = disk.at / "sessions" / session / "work" / "calc" / busy / "outcome.json"
    wait_for("outcome on disk", outcome.exists)
    wait_for("complaint", lambda: complaints(server) > before)
    assert athena.state(busy) == "RUNNING"
    disk.empty()
    got = athena.result(busy, limit=60)
    assert (got.state, marks.read_text()) == ("COMPLETED", "x"), got.reason
    assert got.stdout == b"x" * 100_000 + b"\n"
    assert_whole(server, athena, session)


def complaints(server: Server) -> int:
    return server.log.read_text().count("cannot store an object; trying again")


def starts(athena: Athena) -> None:
    """Start a session; if it fails, its reason is an error."""
    status = athena.await_session(athena.start())
    raise AssertionError(status["StateChangeReason"])


def test_code_for_a_full_disk_is_refused_or_fails_with_the_reason(
    disk: Disk, server: Server, athena: Athena, session: str
) -> None:
    disk.fill_with("bytes")
    before = athena.status(session)
    refused = told(lambda: athena.submit(session, "print(1)"))
    assert FULL in refused
    assert athena.status(session) == before
    disk.empty()
    assert_whole(server, athena, session)


def test_code_is_stopped_where_the_order_finds_no_room(
    disk: Disk, server: Server, athena: Athena, session: str, common: Path
) -> None:
    begun = common / "begun"
    cid = athena.submit(session, f"open({str(begun)!r}, 'w').close()\nwhile True: pass")
    wait_for("code that runs", begun.exists)
    athena.await_running(cid)
    disk.fill_with("inodes")  # the database needs none, a file for the kernel does
    athena.api.stop_calculation_execution(CalculationExecutionId=cid)
    outcome = disk.at / "sessions" / session / "work" / "calc" / cid / "outcome.json"
    wait_for("outcome on disk", outcome.exists)
    disk.empty()
    got = athena.result(cid, limit=60)
    assert got.state == "CANCELED", got.reason
    assert_whole(server, athena, session)


def test_a_server_on_a_full_disk_does_not_start_and_its_kernels_wait(
    disk: Disk, server: Server, athena: Athena, session: str
) -> None:
    kernel = kernel_pid(server, session)
    server.kill()
    disk.fill_with("bytes")
    failed = serve(disk.at)
    assert failed.returncode == 1
    assert "make space, or name another" in failed.stderr
    assert alive(kernel)
    disk.empty()
    server.start()
    assert kernel_pid(server, session) == kernel
    assert_whole(server, athena, session)


def test_a_kernel_that_dies_on_a_full_disk_is_reported_when_there_is_space(
    disk: Disk, server: Server, athena: Athena, session: str
) -> None:
    """The last test of the session."""
    disk.fill_with("bytes")
    kill(kernel_pid(server, session))
    disk.empty()
    status = athena.await_session(session, leave="IDLE")
    assert (status["State"], status["StateChangeReason"]) == (
        "FAILED",
        "the session's kernel was killed by signal 9 (killed)",
    )
    await_nothing_left(server, session)


def serve(data_dir: Path) -> subprocess.CompletedProcess[str]:
    """`ergane serve` that is expected to fail."""
    return subprocess.run(
        [ERGANE, "serve", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_env(data_dir.parent),
    )


def test_a_server_on_a_read_only_disk_says_so(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "data")
    try:
        run("mount", "-o", "remount,ro", str(disk.at))
        failed = serve(disk.at)
        assert failed.returncode == 1
        assert "read-only file system" in failed.stderr
        assert str(disk.at) in failed.stderr
    finally:
        run("umount", str(disk.at))


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO goose_db_version (version_id, is_applied) VALUES (987, 1)")


def torn(path: Path) -> None:
    with path.open("r+b") as f:
        f.seek(4096)
        f.write(bytes(n * 7 % 256 for n in range(path.stat().st_size - 4096)))


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has served, and does not any more."""
    server = Server(tmp_path_factory.mktemp("used") / "data").start()
    end(server)
    return server.data_dir


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (newer, "a newer Ergane wrote this database (schema 987,"),
        (torn, "the database is damaged; restore it from a backup, or move it aside to start with an empty one"),
    ],
)
def test_a_server_that_cannot_use_its_database_says_why_and_leaves_nothing(
    used: Path, tmp_path: Path, harm: Callable[[Path], None], sentence: str
) -> None:
    data_dir = tmp_path / "data"
    shutil.copytree(used, data_dir)
    harm(data_dir / "ergane.db")
    before = (data_dir / "ergane.db").read_bytes()
    failed = serve(data_dir)
    assert failed.returncode == 1
    assert sentence in failed.stderr
    assert str(data_dir / "ergane.db") in failed.stderr
    assert (data_dir / "ergane.db").read_bytes() == before
    assert not Server(data_dir).session_processes()  # at once, and not when the embedded S3 misses its server
