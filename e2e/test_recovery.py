"""The server and the embedded S3 die; sessions and calculations do not, and nothing happens twice."""

from __future__ import annotations

import hashlib
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import ERGANE, Athena, Server, clean_env, running, wait_for
from harness.places import files_below
from harness.processes import alive, command_line, kill
from harness.sessions import await_nothing_left, family, folder, kernel_pid, s3_pid, shim_pid

ROUNDS = 15
# Long enough for a round to die anywhere between the arrival of the call and the end of the code.
LONGEST_DELAY = 0.015
START_DELAYS = [0.0, 0.8]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that every test here may kill, and starts again."""
    with running(tmp_path_factory.mktemp("recovery")) as server:
        yield server
        sids = [path.name for path in (server.data_dir / "sessions").iterdir()]
    for sid in sids:
        await_nothing_left(server, sid)


@pytest.fixture(scope="module")
def athena(server: Server) -> Athena:
    """One client for all servers: the address stays, and so do the keys."""
    return Athena(server, retries={"max_attempts": 10})


@pytest.fixture(scope="module")
def session(athena: Athena) -> str:
    """One session that outlives every server here."""
    sid = athena.session()
    assert athena.run(sid, "precious = 41").state == "COMPLETED"
    return sid


@pytest.fixture(autouse=True)
def _no_errors(server: Server) -> Iterator[None]:
    with server.no_errors():
        yield


def assert_whole(server: Server, athena: Athena, sid: str) -> None:
    """The session is the one that it was, and works."""
    assert athena.await_session(sid, leave="BUSY")["State"] == "IDLE"
    got = athena.run(sid, "print(precious + 1, spark.range(7).count())")
    assert (got.state, got.stdout) == ("COMPLETED", b"42 7\n"), got.stderr
    pids = family(server, sid)
    assert kernel_pid(server, sid) in pids


class Gate:
    """Code that says where it is, and waits until it may go on."""

    def __init__(self, folder: Path) -> None:
        self.reached, self.open = folder / "reached", folder / "open"
        self.code = f"""
import pathlib, time
pathlib.Path({str(self.reached)!r}).touch()
while not pathlib.Path({str(self.open)!r}).exists():
    time.sleep(0.01)
"""

    def await_reached(self) -> None:
        wait_for("code at the gate", self.reached.exists)


@pytest.fixture
def gate(common: Path) -> Gate:
    return Gate(common)


def await_outcome(server: Server, sid: str, cid: str) -> None:
    """Seen without the server: the kernel's word on disk."""
    path = folder(server, sid) / "work" / "calc" / cid / "outcome.json"
    wait_for("outcome on disk", path.exists)


def test_an_idle_session_outlives_the_server(server: Server, athena: Athena, session: str) -> None:
    before = athena.status(session)
    server.kill()
    server.start()
    assert athena.status(session) == before
    assert_whole(server, athena, session)


def test_sigterm_leaves_sessions_alive_and_the_folder_free(server: Server, athena: Athena, session: str) -> None:
    kernel = kernel_pid(server, session)
    assert server.stop() == 0
    assert not (server.data_dir / "server.json").exists()
    server.start()
    assert kernel_pid(server, session) == kernel
    assert_whole(server, athena, session)


def test_a_second_server_on_the_folder_is_refused(server: Server, athena: Athena, session: str) -> None:
    second = subprocess.run(
        [ERGANE, "serve", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--data-dir", str(server.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_env(server.data_dir.parent),
    )
    assert second.returncode == 1
    assert str(server.data_dir) in second.stderr
    assert server.process is not None
    assert f"process {server.process.pid}" in second.stderr
    assert_whole(server, athena, session)


def test_a_calculation_goes_on_without_the_server(server: Server, athena: Athena, session: str, gate: Gate) -> None:
    cid = athena.submit(session, f"print('before')\n{gate.code}\nprint('after')")
    gate.await_reached()
    server.kill()
    server.start()
    assert server.stop() == 0  # twice in a row
    server.start()
    assert athena.status(session)["State"] == "BUSY"
    gate.open.touch()
    got = athena.result(cid)
    assert (got.state, got.reason, got.stdout) == ("COMPLETED", None, b"before\nafter\n")
    assert_whole(server, athena, session)


def test_a_calculation_that_ended_meanwhile_is_delivered(
    server: Server, athena: Athena, session: str, gate: Gate
) -> None:
    cid = athena.submit(session, f"{gate.code}\nprint('alone')\nraise ValueError('told later')")
    gate.await_reached()
    server.kill()
    gate.open.touch()
    await_outcome(server, session, cid)
    server.start()
    got = athena.result(cid)
    assert (got.state, got.reason, got.stdout) == ("FAILED", "ValueError: told later", b"alone\n")
    assert_whole(server, athena, session)


def test_a_calculation_runs_exactly_once_wherever_the_server_dies(
    server: Server, athena: Athena, session: str, common: Path
) -> None:
    ran = common / "ran"
    dice = random.Random(3)
    for n in range(ROUNDS):
        cids: list[str] = []
        code = f"open({str(ran)!r}, 'a').write('{n}\\n')\nprint('round {n}')"
        caller = threading.Thread(target=lambda c=code, ids=cids: ids.append(athena.submit(session, c)))
        caller.start()
        time.sleep(dice.uniform(0, LONGEST_DELAY))  # the fault's moment, not a wait for something
        server.kill()
        server.start()
        caller.join(600)  # the SDK sends the call again
        got = athena.result(cids[0])
        assert (got.state, got.reason, got.stdout) == ("COMPLETED", None, f"round {n}\n".encode())
        assert athena.await_session(session, leave="BUSY")["State"] == "IDLE"
    assert ran.read_text() == "".join(f"{n}\n" for n in range(ROUNDS))
    recent = athena.api.list_calculation_executions(SessionId=session, MaxResults=ROUNDS)["Calculations"]
    assert {c["Status"]["State"] for c in recent} == {"COMPLETED"}
    assert_whole(server, athena, session)


def test_an_order_to_stop_outlives_the_server(server: Server, athena: Athena, session: str, gate: Gate) -> None:
    cid = athena.submit(session, f"import time\nopen({str(gate.reached)!r}, 'w').close()\ntime.sleep(3600)")
    gate.await_reached()
    assert athena.api.stop_calculation_execution(CalculationExecutionId=cid)["State"] == "CANCELING"
    server.kill()
    server.start()
    got = athena.result(cid, limit=600)
    assert (got.state, got.reason) == ("CANCELED", "The calculation was stopped per request")
    assert_whole(server, athena, session)


def test_a_calculation_that_is_being_stopped_outlives_the_server(
    server: Server, athena: Athena, session: str, gate: Gate
) -> None:
    """It has taken the interrupt and tidies up while there is no server."""
    asleep = gate.reached.with_name("asleep")
    tidy = gate.code.replace("\n", "\n    ")
    code = (
        f"import time\ntry:\n    open({str(asleep)!r}, 'w').close()\n    time.sleep(3600)\nfinally:\n"
        f"    print('tidy')\n{tidy}\n"
    )
    cid = athena.submit(session, code)
    wait_for("code asleep", asleep.exists)
    athena.api.stop_calculation_execution(CalculationExecutionId=cid)
    gate.await_reached()
    server.kill()
    gate.open.touch()
    await_outcome(server, session, cid)
    server.start()
    got = athena.result(cid, limit=600)
    assert (got.state, got.stdout) == ("CANCELED", b"tidy\n")
    assert_whole(server, athena, session)


def test_the_embedded_s3_is_started_again_when_it_dies(server: Server, athena: Athena, session: str) -> None:
    first = s3_pid(server)
    kill(first)
    got = athena.run(session, "print('delivered')")
    assert (got.state, got.stdout) == ("COMPLETED", b"delivered\n")
    assert s3_pid(server) != first
    assert_whole(server, athena, session)


def test_a_large_output_survives_the_death_of_the_embedded_s3(server: Server, athena: Athena, session: str) -> None:
    cid = athena.submit(session, "for i in range(1_000_000):\n    print(f'{i:0104d}')")
    await_outcome(server, session, cid)
    uploads = server.data_dir / "s3"

    def half_way() -> bool:
        return sum(size for _, size in files_below(uploads)) > 20_000_000

    wait_for("half of the upload", half_way)
    kill(s3_pid(server))
    got = athena.result(cid)
    assert got.state == "COMPLETED"
    want = hashlib.sha256(b"".join(b"%0104d\n" % i for i in range(1_000_000)))
    assert hashlib.sha256(got.stdout).digest() == want.digest()
    assert_whole(server, athena, session)


def test_a_spark_write_survives_the_death_of_the_embedded_s3(server: Server, athena: Athena, session: str) -> None:
    code = """
path = "s3://e2e-recovery/numbers"
spark.range(0, 400_000, 1, 16).selectExpr("id", "sha2(string(id), 512) as hash").write.parquet(path)
print("written")
"""
    cid = athena.submit(session, code)

    def begun() -> bool:
        parts = (path for path, _ in files_below(server.data_dir / "s3") if path.name.startswith("part-"))
        return any("e2e-recovery/numbers/_temporary/" in str(path) for path in parts)

    wait_for("first file of the write", begun)
    kill(s3_pid(server))
    got = athena.result(cid)
    if got.state == "COMPLETED":
        check = "d = spark.read.parquet(path)\nprint(d.count(), d.select('id').distinct().count())"
        assert athena.run(session, check).stdout == b"400000 400000\n"
    else:
        assert got.state == "FAILED"
        assert got.reason
    assert_whole(server, athena, session)


@pytest.fixture(scope="module")
def born(server: Server, athena: Athena) -> list[str]:
    """Sessions whose server died while they were CREATING, at one moment each."""
    sids = []
    for delay in START_DELAYS:
        sids.append(athena.start())
        time.sleep(delay)  # the fault's moment
        server.kill()
        server.start()
    return sids


def test_a_session_that_is_being_created_outlives_the_server(server: Server, athena: Athena, born: list[str]) -> None:
    for sid in born:
        assert athena.await_session(sid)["State"] == "IDLE"
        assert athena.run(sid, "print(spark.range(3).count())").stdout == b"3\n"
        assert len([pid for pid in family(server, sid) if b"SparkSubmit" in command_line(pid)]) == 1


def test_a_kernel_that_dies_without_a_server_is_reported_exactly(
    server: Server, athena: Athena, born: list[str], gate: Gate
) -> None:
    sid = born[0]
    cid = athena.submit(sid, f"print('kept')\n{gate.code}")
    gate.await_reached()
    server.kill()
    kill(kernel_pid(server, sid))
    server.start()
    reason = "the session's kernel was killed by signal 9 (killed)"
    got = athena.result(cid)
    assert (got.state, got.reason, got.stdout) == ("FAILED", reason, b"kept\n")
    status = athena.await_session(sid, leave="BUSY")
    assert (status["State"], status["StateChangeReason"]) == ("FAILED", reason)
    await_nothing_left(server, sid)


def test_an_order_to_terminate_outlives_the_server(server: Server, athena: Athena, born: list[str]) -> None:
    sid = born[1]
    assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
    server.kill()
    server.start()
    status = athena.await_session(sid, leave="TERMINATING")
    assert (status["State"], status["StateChangeReason"]) == ("TERMINATED", "Session was terminated per request")
    await_nothing_left(server, sid)


def test_a_kernel_whose_session_nobody_knows_is_ended(server: Server, athena: Athena, session: str) -> None:
    """The last test of the session: the database is lost."""
    pids = [kernel_pid(server, session), shim_pid(server, session)]
    assert all(alive(pid) for pid in pids)
    assert server.stop() == 0
    for path in server.data_dir.glob("ergane.db*"):
        path.unlink()
    server.start()
    await_nothing_left(server, session)
    assert not any(alive(pid) for pid in pids)
