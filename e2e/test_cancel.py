"""StopCalculationExecution and TerminateSession against code that does not want to end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import Athena, Result, Server, common_folder, wait_for
from harness.sessions import await_nothing_left, family

STOPPED = "The calculation was stopped per request"
KILLED = "the code did not react to the interrupt, so the session's kernel was killed"
ENDED = "The calculation was canceled because its session was terminated"
# Generous: code that did not obey is known by its reason, which says that the kernel was killed, 30 s after the order.
STOP_LIMIT = 600
EARLY_ROUNDS = 5
WRITE_ROUNDS = 3
# So many that the interrupts which come without being asked for would not do within the grace.
SWALLOWED = 6
# Longer than an interrupt has before the next one.
AGAIN = 0.3
# Its 30 s go by while the other tests run.
pytestmark = pytest.mark.usefixtures("deaf", "stuck")


@pytest.fixture(scope="module")
def sessions(athena: Athena, shared_server: Server) -> Iterator[list[str]]:
    sids: list[str] = []
    yield sids
    for sid in sids:
        athena.terminate(sid)
        await_nothing_left(shared_server, sid)


@pytest.fixture
def session(athena: Athena, sessions: list[str]) -> str:
    """One session for all that is stopped; another one only where a test failed."""
    if not sessions or athena.status(sessions[-1])["State"] != "IDLE":
        sessions.append(athena.session())
    return sessions[-1]


pytestmark = pytest.mark.usefixtures("no_errors")


@pytest.fixture(scope="module")
def deaf(athena: Athena) -> tuple[str, str]:
    """A session and its calculation, which goes on after the interrupt that it was ordered to get."""
    sid = athena.session()
    going = common_folder() / "going"
    code = f"""
import time
while True:
    try:
        open({str(going)!r}, "w").close()
        time.sleep(3600)
    except KeyboardInterrupt:
        print("caught", flush=True)
"""
    cid = athena.submit(sid, code)
    wait_for("code that is going", going.exists)
    athena.api.stop_calculation_execution(CalculationExecutionId=cid)
    return sid, cid


@pytest.fixture(scope="module")
def stuck(athena: Athena) -> tuple[str, str]:
    """A session and its calculation, which is in C code that never returns and holds the interpreter's lock."""
    sid = athena.session()
    there = common_folder() / "there"
    code = f"""
import ctypes
libc, lock = ctypes.PyDLL(None), ctypes.create_string_buffer(256)
libc.pthread_mutex_lock(lock)
print("kept", flush=True)
open({str(there)!r}, "w").close()
libc.pthread_mutex_lock(lock)
"""
    cid = athena.submit(sid, code)
    wait_for("code that is there", there.exists)
    athena.api.stop_calculation_execution(CalculationExecutionId=cid)
    return sid, cid


Begin = Callable[[str, str], str]


@pytest.fixture
def begin(athena: Athena, common: Path) -> Begin:
    """Submits code that says `going()` and returns when it has."""

    def begin(sid: str, code: str) -> str:
        going = common / "going"
        going.unlink(missing_ok=True)
        cid = athena.submit(sid, f"def going(): open({str(going)!r}, 'w').close()\n{code}")
        wait_for("code that is going", going.exists)
        return cid

    return begin


def stop(athena: Athena, cid: str) -> Result:
    """Stops a calculation and returns its end."""
    assert athena.api.stop_calculation_execution(CalculationExecutionId=cid)["State"] in ("CANCELING", "CANCELED")
    return athena.result(cid, limit=STOP_LIMIT)


def test_code_that_swallows_interrupts_gets_one_for_each_stop(athena: Athena, session: str, begin: Begin) -> None:
    caught = common_folder() / "caught"
    cid = begin(
        session,
        f"""
import time
caught = 0
going()
while caught < {SWALLOWED}:
    try:
        time.sleep(3600)
    except KeyboardInterrupt:
        caught += 1
        open({str(caught)!r}, "w").write(str(caught))
raise KeyboardInterrupt
""",
    )
    for n in range(1, SWALLOWED + 1):
        athena.api.stop_calculation_execution(CalculationExecutionId=cid)
        wait_for(f"interrupt {n}", lambda n=n: caught.exists() and caught.read_text() == str(n), STOP_LIMIT)
        time.sleep(AGAIN)
    end = athena.result(cid, limit=STOP_LIMIT)
    assert (end.state, end.reason) == ("CANCELED", STOPPED)  # without the repeated orders, the grace would be over
    assert athena.run(session, "print(caught)").stdout == b"%d\n" % SWALLOWED


SLOW_SQL = "spark.range(10**12).selectExpr('sum(hash(id))').collect()"

STUBBORN = {
    "a loop": "going()\nwhile True: pass",
    "a sleep": "import time\ngoing()\ntime.sleep(3600)",
    "a subprocess": "import subprocess\ngoing()\nsubprocess.run(['sleep', '3600'])",
    "a shell": "import os\ngoing()\nos.system('sleep 3600')",
    "a thread pool": """
import concurrent.futures, threading
over = threading.Event()
pool = concurrent.futures.ThreadPoolExecutor(4)
jobs = [pool.submit(over.wait) for _ in range(4)]
try:
    going()
    concurrent.futures.wait(jobs)
finally:
    over.set()
    pool.shutdown()
""",
    "a join": """
import threading, time
over = threading.Event()
thread = threading.Thread(target=over.wait, daemon=True)
thread.start()
going()
thread.join()
""",
    "a pool of processes": """
import multiprocessing, time
with multiprocessing.get_context("fork").Pool(2) as pool:
    going()
    pool.map(time.sleep, [3600, 3600])
""",
    "a regular expression": "import re\ngoing()\nre.fullmatch('(a+)+b', 'a' * 60)",
    "a socket": """
import socket
one, other = socket.socketpair()
going()
one.recv(1)
""",
    "a Spark query": f"going()\n{SLOW_SQL}",
    "Spark queries without end": "going()\nwhile True: spark.range(1000).count()",
    "a Python function in Spark": """
import time
going()
sc.parallelize(range(4), 4).map(lambda i: time.sleep(3600)).collect()
""",
    "Spark queries in threads": f"""
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    jobs = [pool.submit(lambda: {SLOW_SQL}) for _ in range(2)]
    going()
    [job.result() for job in jobs]
""",
    "code that catches the interrupt once": """
import time
going()
try:
    time.sleep(3600)
except KeyboardInterrupt:
    while True: time.sleep(0.1)
""",
    "a thread pool's own end": """
import concurrent.futures, threading
over = threading.Event()
try:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(over.wait)
        going()
        job.result()
finally:
    over.set()
""",
    "a Python function in SQL": """
import time
spark.udf.register("slow", lambda n: time.sleep(3600) or n, "long")
going()
spark.sql("select slow(id) from range(4)").collect()
""",
    "a pandas function in SQL": """
import time
from pyspark.sql.functions import pandas_udf
@pandas_udf("long")
def slow(n):
    time.sleep(3600)
    return n
going()
spark.range(4).select(slow("id")).collect()
""",
    "large results": """
rows = spark.range(200_000).selectExpr("id", "repeat('x', 50) as text")
going()
while True: rows.toPandas(), rows.collect()
""",
    "C code that returns now and then": """
import numpy
going()
while True: numpy.sort(numpy.random.rand(3_000_000))
""",
    "a TCP socket": """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
going()
client.recv(1)
""",
    "a select": "import select\ngoing()\nselect.select([], [], [])",
    "a subprocess in a session of its own": """
import subprocess
going()
subprocess.run(["sleep", "3600"], start_new_session=True)
""",
    "a streaming query": """
query = spark.readStream.format("rate").load().writeStream.format("noop").start()
going()
query.awaitTermination()
""",
}

NEXT = """
import time
end = time.monotonic() + 60  # Spark ends a job that was canceled a little later
while True:
    running = [job for job in sc.statusTracker().getActiveJobsIds() if not spark.streams.active]
    if not running or time.monotonic() > end: break
    time.sleep(0.05)
print(precious, running, spark.range(5).count())
for query in spark.streams.active: query.stop()
"""


def await_no_sleep(server: Server, sid: str) -> None:
    """No `sleep` that a block started runs on."""

    def commands() -> set[str]:
        found = set()
        for pid in family(server, sid):
            with contextlib.suppress(OSError):  # it may have ended meanwhile
                found.add(Path(f"/proc/{pid}/comm").read_text().strip())
        return found

    wait_for("end of what the block started", lambda: "sleep" not in commands())


@pytest.mark.parametrize("name", STUBBORN)
def test_stopped_at_once_with_its_session_unharmed(
    athena: Athena, shared_server: Server, session: str, begin: Begin, name: str
) -> None:
    cid = begin(session, f"precious = {name!r}\nprint('kept')\n{STUBBORN[name]}")
    got = stop(athena, cid)
    assert (got.state, got.reason) == ("CANCELED", STOPPED)
    assert got.stdout.startswith(b"kept\n")
    await_no_sleep(shared_server, session)
    assert b"while sending command" not in got.stderr  # py4j's own words on an interrupted call
    after = athena.run(session, NEXT)
    assert (after.state, after.stdout.decode()) == ("COMPLETED", f"{name} [] 5\n"), after.stderr
    # What is over stays as it is.
    assert athena.api.stop_calculation_execution(CalculationExecutionId=cid)["State"] == "CANCELED"
    completed = after.raw["CalculationExecutionId"]
    assert athena.api.stop_calculation_execution(CalculationExecutionId=completed)["State"] == "COMPLETED"
    assert athena.status(session)["State"] == "IDLE"


def test_stopped_before_its_first_line(athena: Athena, session: str) -> None:
    for _ in range(EARLY_ROUNDS):
        cid = athena.submit(session, "import time\ntime.sleep(3600)")
        got = stop(athena, cid)
        assert (got.state, got.reason) == ("CANCELED", STOPPED)
        assert athena.run(session, "print('next')").stdout == b"next\n"


def test_a_stopped_write_never_commits(athena: Athena, session: str, begin: Begin) -> None:
    paths = [f"e2e-cancel/{n}" for n in range(WRITE_ROUNDS)]

    def committed(path: str) -> list[str]:
        bucket, _, prefix = path.partition("/")
        keys = [o["Key"] for o in athena.s3.list_objects_v2(Bucket=bucket, Prefix=prefix + "/").get("Contents", [])]
        return [key for key in keys if "_temporary" not in key and not key.endswith("/")]

    athena.run(session, "import boto3; boto3.client('s3').create_bucket(Bucket='e2e-cancel')")
    for n, path in enumerate(paths):
        # Each gets further than the one before: its tasks have begun, some of them have ended.
        rows = f"spark.range(0, {2_000_000 * n or 1000}, 1, 8).selectExpr('id', 'sha2(string(id), 512) as hash')"
        writes = f"while True: {rows}.write.mode('overwrite').parquet('s3://{path}/' + str(next(n)))"
        cid = begin(session, f"import itertools\nn = itertools.count()\n{rows}.count()\ngoing()\n{writes}")
        got = stop(athena, cid)
        assert (got.state, got.reason) == ("CANCELED", STOPPED)
        seen = committed(path)
        assert athena.run(session, f"print({rows}.count() > 0)").stdout == b"True\n"
        assert committed(path) == seen
    for path in paths:
        done = {key.rpartition("/")[0] for key in committed(path) if key.endswith("_SUCCESS")}
        assert {key.rpartition("/")[0] for key in committed(path)} == done


def test_a_stop_that_comes_too_late_leaves_the_code_its_own_end(athena: Athena, session: str) -> None:
    cid = athena.submit(session, "print('quick')")
    state = athena.api.stop_calculation_execution(CalculationExecutionId=cid)["State"]
    got = athena.result(cid)
    assert state in ("CANCELING", "COMPLETED")
    assert (got.state, got.stdout) in [("COMPLETED", b"quick\n"), ("CANCELED", b""), ("CANCELED", b"quick\n")]
    assert athena.run(session, "print('next')").stdout == b"next\n"


TERMINATED_DURING = {"a loop": "going()\nwhile True: pass", "a Spark query": f"going()\n{SLOW_SQL}"}


@pytest.mark.parametrize("name", TERMINATED_DURING)
def test_a_session_is_terminated_during(
    athena: Athena, shared_server: Server, deaf: tuple[str, str], begin: Begin, name: str
) -> None:
    sid = athena.session()
    cid = begin(sid, "print('kept')\n" + TERMINATED_DURING[name])
    assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
    got = athena.result(cid, limit=STOP_LIMIT)
    assert (got.state, got.stdout) == ("CANCELED", b"kept\n")
    # A session that ends gives its code 5 s, in which a busy machine may not have planned a query that is not to run.
    assert got.reason in (ENDED, f"{ENDED} ({KILLED})")
    status = athena.await_session(sid, leave="TERMINATING", limit=STOP_LIMIT)
    assert (status["State"], status["StateChangeReason"]) == ("TERMINATED", "Session was terminated per request")
    await_nothing_left(shared_server, sid)


def test_a_session_is_terminated_during_its_start(athena: Athena, shared_server: Server) -> None:
    sid = athena.start()
    wait_for("a process of the session", lambda: family(shared_server, sid))
    assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
    status = athena.await_session(sid, leave="TERMINATING", limit=STOP_LIMIT)
    assert (status["State"], status["StateChangeReason"]) == ("TERMINATED", "Session was terminated per request")
    await_nothing_left(shared_server, sid)


def test_code_that_goes_on_after_the_interrupt_is_killed_and_the_session_says_so(
    athena: Athena, shared_server: Server, deaf: tuple[str, str]
) -> None:
    sid, cid = deaf
    got = athena.result(cid, limit=60)
    assert (got.state, got.reason) == ("CANCELED", f"{STOPPED} ({KILLED})")
    caught = got.stdout.splitlines()  # it was told again and again
    assert set(caught) == {b"caught"}
    assert len(caught) >= 3
    status = athena.await_session(sid, leave="BUSY")
    assert (status["State"], status["StateChangeReason"]) == ("FAILED", KILLED)
    await_nothing_left(shared_server, sid)


def test_c_code_that_never_returns_is_killed_and_the_session_says_so(
    athena: Athena, shared_server: Server, stuck: tuple[str, str]
) -> None:
    sid, cid = stuck
    got = athena.result(cid)
    assert (got.state, got.reason, got.stdout) == ("CANCELED", f"{STOPPED} ({KILLED})", b"kept\n")
    status = athena.await_session(sid, leave="BUSY")
    assert (status["State"], status["StateChangeReason"]) == ("FAILED", KILLED)
    await_nothing_left(shared_server, sid)
