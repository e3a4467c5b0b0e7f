"""The scenario with PyAthena's SparkCursor, as its documentation uses it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyathena
from pyathena import DatabaseError, OperationalError
from pyathena.spark.async_cursor import AsyncSparkCursor
from pyathena.spark.cursor import SparkCursor
from scenario import CODE, EXPECT, UNKNOWN_SESSION, WORK_GROUP, check, ok, version


def main() -> None:
    version(f"PyAthena {pyathena.__version__}")
    connection = pyathena.connect(work_group=WORK_GROUP, cursor_class=SparkCursor)

    size = {"CoordinatorDpuSize": 1, "MaxConcurrentDpus": 4, "DefaultExecutorDpuSize": 1}
    properties = {"spark.sql.shuffle.partitions": "3"}
    cursor = connection.cursor(
        description="of PyAthena",
        engine_configuration=size | {"SparkProperties": properties},
        session_idle_timeout_minutes=5,
    )
    ok("session")
    cursor.execute("print(spark.conf.get('spark.sql.shuffle.partitions'))")
    check(cursor.get_std_out(), "3")
    ok("engine_configuration")

    cursor.execute(CODE["stdout"], description="the squares")
    check(cursor.get_std_out(), EXPECT["stdout"].strip())
    check(cursor.get_std_error(), "")
    ok("stdout")
    described(cursor)
    cursor.execute(CODE["shared"])
    check(cursor.get_std_out(), EXPECT["shared"].strip())
    ok("shared")

    check(str(raised(OperationalError, lambda: cursor.execute(CODE["failure"]))), EXPECT["failure"])
    check(cursor.state, "FAILED")
    check(cursor.get_std_error(), EXPECT["failure"])
    ok("failure")

    stopped(connection, cursor)

    token = str(uuid.uuid4())
    once = cursor.execute(CODE["shared"], client_request_token=token).calculation_id
    check(cursor.execute(CODE["shared"], client_request_token=token).calculation_id, once)
    # Its own calls find that out: PyAthena's class for a refused start is DatabaseError.
    raised(DatabaseError, lambda: cursor.execute(CODE["kept"], client_request_token=token))
    ok("token")

    with connection.cursor(session_id=cursor.session_id) as same:
        check(same.session_id, cursor.session_id)
        check(same.execute(CODE["shared"]).get_std_out(), EXPECT["shared"].strip())
    check(cursor.execute(CODE["shared"]).get_std_out(), EXPECT["shared"].strip())
    ok("reuse")

    with connection.cursor(AsyncSparkCursor, session_id=cursor.session_id) as later:
        query, future = later.execute(CODE["shared"])
        execution = future.result()
        check((execution.calculation_id, execution.state), (query, "COMPLETED"))
        check(later.get_std_out(execution).result(), EXPECT["shared"].strip())
    ok("async")

    error = raised(OperationalError, lambda: connection.cursor(session_id=UNKNOWN_SESSION))
    check(str(error), f"Session: {UNKNOWN_SESSION} not found.")
    ok("unknown")

    sid = cursor.session_id
    cursor.close()
    cursor.close()
    error = raised(OperationalError, lambda: wait_for_end(connection, sid))
    assert str(error).startswith(f"Session: {sid} is TERMINATED."), error
    ok("terminate")


def described(cursor: SparkCursor) -> None:
    """Every property of a calculation that ran well, as PyAthena's own tests want them."""
    check((cursor.description, cursor.state, cursor.state_change_reason), ("the squares", "COMPLETED", None))
    for name in (
        *("working_directory", "submission_date_time", "completion_date_time", "dpu_execution_in_millis"),
        *("progress", "std_out_s3_uri", "std_error_s3_uri", "result_s3_uri", "result_type"),
        *("calculation_id", "session_id"),
    ):
        assert getattr(cursor, name), name
    assert cursor.submission_date_time <= cursor.completion_date_time
    ok("properties")


def stopped(connection: pyathena.connection.Connection, cursor: SparkCursor) -> None:
    """Cancel from another thread while execute waits; meanwhile the session refuses a second cursor's code."""
    running = threading.Event()

    def on_poll(status: object) -> None:
        if getattr(status, "state", None) == "RUNNING":
            running.set()

    waiting = connection.cursor(session_id=cursor.session_id, on_poll=on_poll)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: raised(OperationalError, lambda: waiting.execute(CODE["endless"])))
        assert running.wait(60), "it does not run"
        error = raised(DatabaseError, lambda: cursor.execute(CODE["shared"]))
        assert EXPECT["busy"] in str(error), error
        ok("busy")
        waiting.cancel()
        ended.result()
    check(waiting.state, "CANCELED")
    check(cursor.execute(CODE["kept"]).get_std_out(), EXPECT["kept"].strip())
    ok("stop")


def wait_for_end(connection: pyathena.connection.Connection, sid: str) -> None:
    """A cursor on a session that ends polls until it has, then raises."""
    connection.cursor(session_id=sid)


def raised(kind: type[Exception], call: Callable[[], object]) -> Exception:
    try:
        got = call()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__} but {got!r}")


main()
