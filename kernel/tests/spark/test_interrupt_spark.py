"""Stopping blocks that work in Spark: nothing of them goes on, and nothing of others is hit."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from harness import Kernel

ACTIVE = "print(len(sc.statusTracker().getActiveJobsIds()))"

# Each says `on` in stdout when it is where it is to be stopped.
SLOW = "import os, time\ndef slow(x):\n    open(started, 'w').close(); time.sleep(1000); return x\n"
STOPPED = {
    "a loop of small jobs": "print('on')\nwhile True: spark.range(10).count()",
    "a sleep": "import time\nspark.range(1).count()\nprint('on'); time.sleep(1000)",
    "a running count": "print('on'); spark.range(10**12).selectExpr('sum(sqrt(id))').count(); spark.range(10**13).selectExpr('sum(sqrt(id))').collect()",
    "a job with a Python function": SLOW + "print('on'); sc.parallelize(range(4), 2).map(slow).collect()",
    "a UDF": SLOW
    + "from pyspark.sql.functions import udf\nprint('on'); spark.range(4).select(udf(slow, 'long')('id')).collect()",
    "jobs of a thread pool": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def job(n): return spark.range(10**13).selectExpr('sum(sqrt(id))').collect()\n"
        "print('on')\nwith ThreadPoolExecutor(3) as pool: print(list(pool.map(job, range(3))))"
    ),
    "jobs of a pool whose errors nobody reads": (
        "from concurrent.futures import ThreadPoolExecutor, wait\n"
        "def job(n): return spark.range(10**13).selectExpr('sum(sqrt(id))').collect()\n"
        "pool = ThreadPoolExecutor(2)\njobs = [pool.submit(job, n) for n in range(2)]\nimport time\n"
        "while len(sc.statusTracker().getActiveJobsIds()) < 2: time.sleep(0.01)\nprint('on')\nwait(jobs)"
    ),
    "a subprocess beside Spark": "import os\nprint('on'); os.system('sleep 1000')",
    "a show": "print('on'); spark.range(10**13).selectExpr('sum(sqrt(id))').show()",
    "code that swallows the job's error": (
        "print('on')\nfor _ in range(3):\n    try: spark.range(10**13).selectExpr('sum(sqrt(id))').collect()\n    except Exception: pass"
    ),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_block_is_stopped_in(spark_kernel: Kernel, name: str) -> None:
    spark_kernel.run("kept = 'kept'; import os; started = os.path.abspath('started')")
    calculation = spark_kernel.submit(STOPPED[name])
    calculation.await_stdout("on")
    if "slow(x)" in STOPPED[name]:
        spark_kernel.until((spark_kernel.work / "tmp" / "started").exists, "a task in its function")
        (spark_kernel.work / "tmp" / "started").unlink()
    elif "range(10**1" in STOPPED[name]:
        spark_kernel.until(
            lambda: spark_kernel.server.ask(op="progress", id=calculation.id)["tasks"] or "pool" in name, "a job"
        )
    outcome = calculation.interrupt()
    assert outcome["state"] == "CANCELED", (outcome, calculation.stderr)
    for noise in ("while sending command", "ERROR:root", "ergane_kernel"):
        assert noise not in calculation.stderr
    following = spark_kernel.run("import logging\nprint(kept, logging.getLogger().handlers)\n" + ACTIVE)
    assert following.stdout == "kept []\n0\n"
    assert spark_kernel.run("print(spark.range(5).count())").stdout == "5\n"


@pytest.mark.parametrize("pause", [0.02, 0.05, 0.1, 0.2, 0.4])
def test_an_interrupted_write_never_commits(spark_kernel: Kernel, pause: float) -> None:
    target = f"written-{pause}"
    calculation = spark_kernel.submit(
        f"print('on')\nspark.range(60_000_000).repartition(4).selectExpr('id', 'rand() r').write.parquet('{target}')"
    )
    calculation.await_stdout("on")
    until = time.perf_counter() + pause
    while time.perf_counter() < until:
        pass
    assert calculation.interrupt()["state"] == "CANCELED"
    assert spark_kernel.run("import time; time.sleep(1)\n" + ACTIVE).stdout == "0\n"
    folder = spark_kernel.work / "tmp" / target
    assert not (folder / "_SUCCESS").exists()
    assert not list(Path(folder).glob("part-*"))


def test_a_live_streaming_query_is_not_stopped_with_a_block(spark_kernel: Kernel) -> None:
    started = spark_kernel.run(
        "query = spark.readStream.format('rate').option('rowsPerSecond', 1000).load().writeStream.format('noop').trigger(processingTime='0 seconds').start()"
    )
    assert started.state == "COMPLETED", started.stderr
    try:
        calculation = spark_kernel.submit("print('on')\nspark.range(10**13).selectExpr('sum(sqrt(id))').collect()")
        calculation.await_stdout("on")
        spark_kernel.until(lambda: spark_kernel.server.ask(op="progress", id=calculation.id)["tasks"], "a job")
        assert calculation.interrupt()["state"] == "CANCELED"
        alive = spark_kernel.run(
            "import time\nbatch = query.lastProgress['batchId'] if query.lastProgress else -1\n"
            "while query.isActive and (not query.lastProgress or query.lastProgress['batchId'] < batch + 2): time.sleep(0.01)\n"
            "print(query.isActive, query.exception())"
        )
        assert alive.stdout == "True None\n"
    finally:
        spark_kernel.run("query.stop()")


def test_an_order_never_hits_the_jobs_of_the_next_block(spark_kernel: Kernel) -> None:
    """Orders that race with the end of a small job; the next block's jobs run through."""
    rng = random.Random(11)
    states = []
    for _ in range(60):
        calculation = spark_kernel.submit("spark.range(100).count()")
        pause = time.perf_counter() + rng.random() * 0.06
        while time.perf_counter() < pause:
            pass
        if spark_kernel.server.ask(op="interrupt", id=calculation.id)["ok"]:
            calculation.strike()
            spark_kernel.until(calculation._interrupted_or_over, "the end")
        states.append(calculation.await_outcome()["state"])
        following = spark_kernel.submit("print(spark.range(10).count())")
        calculation.strike()
        assert following.await_outcome()["state"] == "COMPLETED", following.stderr
        assert following.stdout == "10\n"
    assert set(states) <= {"COMPLETED", "CANCELED"}
    assert "CANCELED" in states


MAKING = """
import os
from pyspark import SparkContext
make = SparkContext._initialize_context
def telling(self, conf):
    open(making, "w").close()
    return make(self, conf)
SparkContext._initialize_context = telling
making = os.path.abspath("making")
"""


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.sleep(1000)",
        "from pyspark.sql import SparkSession\nsc.stop()\nspark = SparkSession.builder.getOrCreate()\nimport time\ntime.sleep(1000)",
    ],
    ids=["by the kernel", "by the block"],
)
def test_an_order_while_spark_starts_again_leaves_the_session_usable(fresh: Kernel, code: str) -> None:
    """The JVM finishes the context that Python has given up on; the next block gets one all the same."""
    making = fresh.work / "tmp" / "making"
    assert fresh.run(MAKING).state == "COMPLETED"
    assert fresh.run("sc.stop()").state == "COMPLETED"
    if "sc.stop()" in code:
        assert fresh.run("print(spark.range(2).count())").stdout == "2\n"
    making.unlink(missing_ok=True)
    calculation = fresh.submit(code)
    fresh.until(making.exists, "a context that is being made")
    assert calculation.interrupt()["state"] == "CANCELED", calculation.stderr
    following = fresh.run("print(spark.range(3).count(), sc.parallelize([1]).count())")
    assert following.stdout == "3 1\n", following.stderr
