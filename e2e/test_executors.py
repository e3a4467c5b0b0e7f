"""Executors as processes of their own: what ListExecutors says of them, and that none is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Athena, Server, running, wait_for
from harness.processes import command_line, descriptors, kill
from harness.sessions import await_nothing_left, family, kernel_pid, shim_pid

MASTER = "local-cluster[2,1,1024]"
# Executors stay until a test sends them away.
STAY = {"spark.dynamicAllocation.executorIdleTimeout": "1h", "spark.dynamicAllocation.minExecutors": "2"}
ENDED = ("TERMINATED", "FAILED")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("executors"), "--master", MASTER) as server:
        yield server
        sids = [path.name for path in (server.data_dir / "sessions").iterdir()]
        assert server.errors() == []
    for sid in sids:
        await_nothing_left(server, sid)


@pytest.fixture(scope="module")
def athena(server: Server) -> Athena:
    return Athena(server, retries={"max_attempts": 10})


def start(athena: Athena, dpus: int = 3) -> str:
    return athena.session(EngineConfiguration={"MaxConcurrentDpus": dpus, "SparkProperties": STAY})


@pytest.fixture(scope="module")
def session(athena: Athena) -> str:
    """Each test leaves it with two workers."""
    return start(athena)


def listed(athena: Athena, sid: str, **kwargs: Any) -> list[dict[str, Any]]:
    """All executors, one a page."""
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = athena.api.list_executors(SessionId=sid, MaxResults=1, **kwargs, **token)
        assert page["SessionId"] == sid
        assert len(page["ExecutorsSummary"]) <= 1
        found += page["ExecutorsSummary"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    ids = [e["ExecutorId"] for e in found]
    assert len(set(ids)) == len(ids)
    starts = [e["StartDateTime"] for e in found]
    assert starts == sorted(starts, reverse=True)
    return found


def workers(athena: Athena, sid: str, state: str) -> list[dict[str, Any]]:
    return [e for e in listed(athena, sid, ExecutorStateFilter=state) if e["ExecutorType"] == "WORKER"]


def await_workers(athena: Athena, sid: str, state: str, count: int) -> list[dict[str, Any]]:
    def look() -> list[dict[str, Any]] | None:
        found = workers(athena, sid, state)
        return found if len(found) == count else None

    return wait_for(f"{count} workers {state}", look)


def executor_pids(server: Server, sid: str) -> list[int]:
    """The JVMs of the workers."""
    return [pid for pid in family(server, sid) if b"CoarseGrainedExecutorBackend" in command_line(pid)]


def driver_pid(server: Server, sid: str) -> int:
    (pid,) = [p for p in family(server, sid) if b"org.apache.spark.deploy.SparkSubmit" in command_line(p)]
    return pid


def test_two_workers_register_and_are_processes(server: Server, athena: Athena, session: str) -> None:
    status = athena.status(session)
    begun = int(status["StartDateTime"].timestamp() * 1000)
    found = await_workers(athena, session, "REGISTERED", 2)
    assert len(executor_pids(server, session)) == 2
    for e in listed(athena, session):
        assert (e["ExecutorState"], e["ExecutorSize"]) == ("REGISTERED", 1)
        assert begun <= e["StartDateTime"] <= time.time() * 1000
        assert "TerminationDateTime" not in e
    kinds = sorted(e["ExecutorType"] for e in listed(athena, session))
    assert kinds == ["COORDINATOR", "GATEWAY", "WORKER", "WORKER"]
    assert {e["ExecutorId"] for e in found} == {e["ExecutorId"] for e in workers(athena, session, "REGISTERED")}
    for state in ("CREATING", "CREATED", "TERMINATING", "TERMINATED", "FAILED"):
        assert listed(athena, session, ExecutorStateFilter=state) == []


def test_workers_run_python_and_read_s3(server: Server, athena: Athena, session: str) -> None:
    athena.s3.put_object(Bucket="e2e-executors", Key="lib/helper.py", Body=b"def twice(x): return 2 * x\n")
    code = """
import os
from pyspark.sql.functions import udf
sc.addPyFile("s3://e2e-executors/lib/helper.py")
def double(x):
    import helper
    return helper.twice(x)
spark.range(0, 1000, 1, 2).withColumn("d", udf(double, "long")("id")).write.parquet("s3://e2e-executors/numbers")
print(spark.read.parquet("s3://e2e-executors/numbers").selectExpr("sum(d)").first()[0])
here = set(sc.parallelize(range(8), 8).map(lambda _: os.getppid()).collect())
print(os.getpid() in here, len(here) > 0)
print(sorted(set(sc.parallelize(range(8), 8).map(lambda _: os.getcwd()).collect()))[0])
"""
    got = athena.run(session, code)
    assert got.state == "COMPLETED", got.stderr
    total, mine, cwd = got.stdout.decode().splitlines()
    assert (total, mine) == ("999000", "False True")
    assert cwd.startswith(str(server.data_dir / "sessions" / session / "work" / "java"))
    secrets = [line for line in athena.run(session, SECRETS).stdout.decode().splitlines() if line]
    assert len(secrets) == 2
    for pid in family(server, session):
        assert not [s for s in secrets if s.encode() in command_line(pid)]


SECRETS = """
print(sc.getConf().get("spark.authenticate.secret"))
print(sc._jsc.hadoopConfiguration().get("fs.s3a.secret.key"))
"""


def test_only_this_machine_reaches_the_executors(server: Server, session: str) -> None:
    ours = {inode for pid in family(server, session) for inode in sockets(pid)}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in ours:
                assert local.split(":")[0] in ("0100007F", "0000000000000000FFFF00000100007F"), line


def sockets(pid: int) -> set[str]:
    return {target[8:-1] for target in descriptors(pid) if target.startswith("socket:[")}


def test_progress_rises_with_the_tasks_and_workers_cost(athena: Athena, session: str, common: Path) -> None:
    code = f"""
import os, time
gate = {str(common)!r}
def task(n):
    while not os.path.exists(f"{{gate}}/{{n}}"): time.sleep(0.02)
    if n == 4: open(f"{{gate}}/second", "w").close()
    return n
sc.parallelize(range(4), 4).map(task).collect()
sc.parallelize(range(4, 40), 36).map(task).collect()
"""
    cid = athena.submit(session, code)
    seen: list[int] = []

    def statistics() -> int:
        got = athena.api.get_calculation_execution_status(CalculationExecutionId=cid)["Statistics"]
        seen.append(int(got.get("Progress", "0%").rstrip("%")))
        return seen[-1]

    def look_until(what: str, done: Callable[[int], bool]) -> None:
        wait_for(what, lambda: done(statistics()))

    for n in range(2):
        (common / str(n)).touch()
    look_until("half of the work", lambda percent: percent == 50)
    for n in range(2, 5):
        (common / str(n)).touch()
    second = common / "second"  # a job of ten times as many tasks
    wait_for("second job", second.exists)
    looks = len(seen)
    look_until("more looks", lambda _: len(seen) > looks + 20)
    for n in range(5, 40):
        (common / str(n)).touch()
    got = athena.result(cid)
    assert got.state == "COMPLETED", got.stderr
    statistics()
    assert seen == sorted(seen)
    assert seen[-1] == 100
    assert {n for n in seen if 0 < n < 100}
    status = got.raw["Status"]
    took = (status["CompletionDateTime"] - status["SubmissionDateTime"]).total_seconds() * 1000
    assert 2 * took < got.raw["Statistics"]["DpuExecutionInMillis"] <= 3 * took + 3


def test_a_killed_worker_has_failed_and_is_replaced(server: Server, athena: Athena, session: str) -> None:
    before = {e["ExecutorId"] for e in await_workers(athena, session, "REGISTERED", 2)}
    failed = {e["ExecutorId"] for e in workers(athena, session, "FAILED")}
    begun = int(time.time() * 1000)
    kill(executor_pids(server, session)[0])
    after = await_workers(athena, session, "FAILED", len(failed) + 1)
    (lost,) = (e for e in after if e["ExecutorId"] not in failed)
    assert lost["ExecutorId"] in before
    assert lost["StartDateTime"] < begun <= lost["TerminationDateTime"] <= time.time() * 1000
    now = {e["ExecutorId"] for e in await_workers(athena, session, "REGISTERED", 2)}
    assert before - now == {lost["ExecutorId"]}
    assert athena.run(session, "print(spark.range(100).count())").stdout == b"100\n"


def test_a_dead_server_neither_loses_nor_doubles_executors(server: Server, athena: Athena, session: str) -> None:
    await_workers(athena, session, "REGISTERED", 2)
    before = listed(athena, session)
    pids = executor_pids(server, session)
    server.kill()
    server.start()
    assert listed(athena, session) == before
    assert sorted(executor_pids(server, session)) == sorted(pids)
    assert athena.run(session, "print(spark.range(100).count())").stdout == b"100\n"
    assert listed(athena, session) == before


def test_code_that_restarts_spark_has_new_workers(athena: Athena, session: str) -> None:
    """The numbers of the second application's executors begin again at 0."""
    before = {e["ExecutorId"] for e in await_workers(athena, session, "REGISTERED", 2)}
    assert athena.run(session, "spark.stop()").state == "COMPLETED"
    assert workers(athena, session, "REGISTERED") == []
    assert before <= {e["ExecutorId"] for e in workers(athena, session, "TERMINATED")}
    assert athena.run(session, "print(spark.range(100).count())").stdout == b"100\n"  # by whoever is there first
    assert not before & {e["ExecutorId"] for e in workers(athena, session, "REGISTERED")}


def test_all_executors_end_with_their_session(server: Server, athena: Athena, session: str) -> None:
    before = {e["ExecutorId"]: e for e in listed(athena, session)}
    athena.api.terminate_session(SessionId=session)
    status = athena.await_session(session, leave="TERMINATING")
    finish = int(status["EndDateTime"].timestamp() * 1000)
    after = {e["ExecutorId"]: e for e in listed(athena, session)}
    assert set(after) >= set(before)  # another may just have come
    for id_, e in after.items():
        if id_ in before and before[id_]["ExecutorState"] in ENDED:
            assert e == before[id_]
        else:
            assert e["ExecutorState"] == "TERMINATED"
        assert e["StartDateTime"] <= e["TerminationDateTime"] <= finish
    await_nothing_left(server, session)
    server.kill()
    server.start()
    assert {e["ExecutorId"]: e for e in listed(athena, session)} == after


@pytest.mark.parametrize("victim", [shim_pid, kernel_pid, driver_pid], ids=["shim", "kernel", "driver"])
def test_no_executor_outlives_what_started_it(server: Server, athena: Athena, victim: Any) -> None:
    sid = start(athena, dpus=2)
    await_workers(athena, sid, "REGISTERED", 1)  # although two were asked for
    kill(victim(server, sid))
    if victim is driver_pid:
        assert athena.await_session(sid, leave="IDLE")["State"] == "DEGRADED"
        wait_for("end of the executors", lambda: not executor_pids(server, sid))
        assert {e["ExecutorState"] for e in listed(athena, sid) if e["ExecutorType"] != "GATEWAY"} == {"FAILED"}
        athena.api.terminate_session(SessionId=sid)
        athena.await_session(sid, leave="TERMINATING DEGRADED")
    else:
        assert athena.await_session(sid, leave="IDLE")["State"] == "FAILED"
        assert {e["ExecutorState"] for e in listed(athena, sid)} == {"FAILED"}
    await_nothing_left(server, sid)


def test_a_session_from_its_first_state_to_its_last(athena: Athena) -> None:
    """With a worker that comes and, because there is nothing to do, goes."""
    properties = {"spark.dynamicAllocation.executorIdleTimeout": "1s"}
    sid = athena.start(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": properties})
    seen: set[str] = set()

    def registered() -> bool:
        states = {e["ExecutorState"] for e in listed(athena, sid)}
        seen.update(states)
        return states == {"REGISTERED"}

    wait_for("registration", registered)
    assert "CREATED" in seen
    assert seen <= {"CREATING", "CREATED", "REGISTERED"}
    (gone,) = await_workers(athena, sid, "TERMINATED", 1)
    assert gone["StartDateTime"] < gone["TerminationDateTime"] <= time.time() * 1000
    assert workers(athena, sid, "FAILED") == []
    athena.api.terminate_session(SessionId=sid)
    states = {e["ExecutorState"] for e in listed(athena, sid)}
    assert states <= {"TERMINATING", "TERMINATED"}
    athena.await_session(sid, leave="TERMINATING")
    assert {e["ExecutorState"] for e in listed(athena, sid)} == {"TERMINATED"}
    assert gone in listed(athena, sid)
