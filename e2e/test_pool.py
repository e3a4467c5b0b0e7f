"""Kernels that are started ahead of their sessions: quick, clean, never lost and never given out twice."""

from __future__ import annotations

import json
import os
import signal

import pytest

from harness import Athena, Server, wait_for
from harness.metrics import sample
from harness.sessions import await_nothing_left, kernel_pid, outside, waiting_kernels

WARM_LIMIT = 600  # kernels that nobody waits for are started at the lowest priority


SERVER_ARGS = ("--pool", "1", "--pool-max", "1")


@pytest.fixture
def athena(server: Server) -> Athena:
    return Athena(server)


def await_waiting(server: Server) -> str:
    """The id of the kernel that waits, and that of the session which will take it."""
    look = 'ergane_pool_kernels{state="waiting"}'
    wait_for("kernel in the pool", lambda: sample(server, look) == 1, WARM_LIMIT)
    (waiting,) = waiting_kernels(server)
    return waiting


WHO = """
import json, os, boto3
me = boto3.client("athena").get_session(SessionId="%s")
print(json.dumps({
    "state": me["Status"]["State"], "group": me["WorkGroup"], "cwd": os.getcwd(), "tmp": os.environ["TMPDIR"],
    "key": os.environ["AWS_ACCESS_KEY_ID"], "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "tables": [t.name for t in spark.catalog.listTables()], "jobs": list(sc.statusTracker().getJobIdsForGroup(None)),
    "count": spark.range(10).count(),
}))
spark.range(3).write.parquet("s3://of-the-pool/%s")
"""


def test_a_session_is_idle_with_the_answer_to_its_start_and_all_its_own(server: Server, athena: Athena) -> None:
    waiting = await_waiting(server)
    started = athena.api.start_session(WorkGroup="primary", EngineConfiguration={"MaxConcurrentDpus": 2})
    sid = started["SessionId"]
    assert (sid, started["State"]) == (waiting, "IDLE")
    athena.s3.create_bucket(Bucket="of-the-pool")
    done = athena.run(sid, WHO % (sid, sid))
    assert (done.state, done.stderr) == ("COMPLETED", b"")
    seen = json.loads(done.stdout)
    assert sid in seen.pop("cwd")
    assert sid in seen.pop("tmp")
    assert seen.pop("key").startswith("ERGS")
    assert seen == {"state": "BUSY", "group": "primary", "nice": 0, "tables": [], "jobs": [], "count": 10}
    listed = [b["Name"] for b in athena.s3.list_buckets()["Buckets"]]
    assert "ergane-results" in listed
    # The kernel after this one may be warming up.
    left = athena.s3.list_objects_v2(Bucket="ergane-results", Prefix=f".warm-up-{sid}")
    assert left.get("KeyCount", 0) == 0
    athena.terminate(sid)
    await_nothing_left(server, sid)


def test_a_waiting_kernel_outlives_the_server_and_is_given_out_once(server: Server, athena: Athena) -> None:
    waiting = await_waiting(server)
    pid = kernel_pid(server, waiting)
    server.kill()
    server.start()
    assert await_waiting(server) == waiting
    athena = Athena(server)
    asked = {"spark.sql.shuffle.partitions": "5", "spark.app.name": "mine"}  # the second needs a context of its own
    sids = [athena.start(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": asked}) for _ in range(2)]
    assert waiting in sids
    assert len(set(sids)) == 2
    athena.await_session(waiting, leave="CREATING")
    assert kernel_pid(server, waiting) == pid
    done = athena.run(
        waiting, "import os; print(os.getpid(), spark.conf.get('spark.sql.shuffle.partitions'), sc.appName)"
    )
    number, *rest = done.stdout.decode().split()
    assert (outside(server, waiting, int(number)), rest) == ([pid], ["5", "mine"]), done.stderr
    assert athena.run(waiting, "print(spark.range(4).count())").stdout == b"4\n"
    for sid in sids:
        athena.terminate(sid)


def test_a_kernel_that_dies_while_it_waits_is_nobodys_loss(server: Server, athena: Athena) -> None:
    waiting = await_waiting(server)
    os.kill(kernel_pid(server, waiting), signal.SIGKILL)
    sid = athena.session()  # of a kernel that lives, whether its death was seen already or not
    assert athena.run(sid, "print('alive')").stdout == b"alive\n"
    athena.terminate(sid)
    await_nothing_left(server, waiting)
