"""When a Spark driver dies, the client learns how, and what it was doing."""

from __future__ import annotations

import pytest

from harness import Athena, Server, wait_for
from harness.processes import command_line, kill
from harness.sessions import await_nothing_left, family

ATTEMPTS = 5


def java_of(server: Server, sid: str) -> int | None:
    """The session's JVM, if it is there."""
    for pid in family(server, sid):
        if command_line(pid).split(b"\0")[0].endswith(b"/java"):
            return pid
    return None


def test_a_driver_killed_during_the_start_is_the_reason(athena: Athena, shared_server: Server) -> None:
    for _ in range(ATTEMPTS):  # on a machine that does other things the start may be over before the kill
        sid = athena.start()
        kill(wait_for("a JVM of the session", lambda s=sid: java_of(shared_server, s)))
        status = athena.await_session(sid, leave="CREATING IDLE")
        if status["State"] == "FAILED":
            break
        athena.api.terminate_session(SessionId=sid)
    said = "the Spark driver was killed by signal 9 (killed) before it was ready"
    assert (status["State"], status["StateChangeReason"]) == ("FAILED", said)
    await_nothing_left(shared_server, sid)


def test_a_driver_without_memory_for_a_calculation_says_so_and_goes_on(athena: Athena, session: str) -> None:
    got = athena.run(session, "print('kept')\nsc._jvm.java.util.ArrayList(1_500_000_000)")
    assert (got.state, got.stdout) == ("FAILED", b"kept\n")
    assert "java.lang.OutOfMemoryError: Java heap space" in got.stderr.decode()
    assert "OutOfMemoryError" in (got.reason or "")
    assert athena.run(session, "print(spark.range(10).count())").stdout == b"10\n"


LOST = {
    "a task without memory": (
        "spark.range(1, 2, 1, 1).selectExpr('size(sequence(id, id + 1000000000))').collect()",
        "exited with status 52: Java ran out of memory, see spark.driver.memory",
    ),
    "a kill during a query": (
        "import os\n"
        "java = sc._jvm.java.lang.ProcessHandle.current().pid()\n"
        "sc.range(1).foreach(lambda _: os.kill(java, 9))",
        "was killed by signal 9 (killed)",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_a_calculation_that_loses_its_driver_says_how_and_so_does_the_session(
    athena: Athena, shared_server: Server, name: str
) -> None:
    code, how = LOST[name]
    sid = athena.session()
    got = athena.run(sid, "print('kept')\n" + code)
    assert (got.state, got.stdout) == ("FAILED", b"kept\n")
    assert (got.reason or "").startswith(f"the Spark driver {how}; "), got.reason
    assert got.stderr.decode().endswith(f"\nThe Spark driver {how}.\n")
    status = athena.await_session(sid, leave="BUSY IDLE")
    said = f"The Spark driver of the session died (it {how}); "
    assert (status["State"], status["StateChangeReason"][: len(said)]) == ("DEGRADED", said)
    athena.api.terminate_session(SessionId=sid)
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
    await_nothing_left(shared_server, sid)
