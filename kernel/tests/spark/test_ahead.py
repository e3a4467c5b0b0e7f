"""A kernel that is started ahead of its session: what a session gets, and what it must not find."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Kernel

WAREHOUSE = "spark.sql.warehouse.dir"
WARM_SECONDS = 300  # on a busy machine
FACTS = {"workgroup": "primary", "engine_version": "PySpark engine version 3", "started": 1.5}


@pytest.fixture
def waiting(engine: dict[str, Any]) -> Iterator[Kernel]:
    """A kernel that waits."""
    with Kernel({**engine, "ahead": {"store": "", "catalog": True}}) as kernel:
        kernel.until((kernel.work / "ready.json").exists, "ready", WARM_SECONDS)
        yield kernel


def claim(kernel: Kernel, conf: dict[str, str]) -> dict[str, Any]:
    """Claims it for a session with these properties; the kernel's answer."""
    (kernel.work / "claim.json").write_text(json.dumps({"v": 1, "facts": FACTS, "spark": conf}))
    assert "err" not in kernel.server.ask(op="claim")
    kernel.until((kernel.work / "claimed.json").exists, "an answer")
    return json.loads((kernel.work / "claimed.json").read_text())


# What could be left of the warm-up, or of one claim for another.
LOOK = """
import os, sys, json
from pathlib import Path
print(json.dumps({
    "names": sorted(n for n in globals() if n not in ("In", "Out") and not n.startswith("_")),
    "jobs": list(sc.statusTracker().getJobIdsForGroup(None)) + list(sc.statusTracker().getActiveJobsIds()),
    "tables": [t.name for t in spark.catalog.listTables()],
    "databases": [d.name for d in spark.catalog.listDatabases()],
    "storage": sc._jsc.sc().getPersistentRDDs().size(),
    "files": sorted(p.name for p in Path.cwd().iterdir() if not p.name.startswith(".ipython")),
    "name": sc.appName,
    "main": sys.argv,
    "partitions": [spark.conf.get("spark.sql.shuffle.partitions"), sc.getConf().get("spark.sql.shuffle.partitions"),
                   spark.newSession().conf.get("spark.sql.shuffle.partitions")],
    "serializer": sc.getConf().get("spark.serializer"),
}))
"""
NAMES = ["athena_shared_logger", "athena_user_logger", "get_ipython", "open", "sc", "spark"]


def look(kernel: Kernel) -> dict[str, Any]:
    calculation = kernel.run(LOOK)
    assert calculation.state == "COMPLETED", calculation.stderr
    assert calculation.stderr == ""
    return json.loads(calculation.stdout)


def expect_clean(seen: dict[str, Any]) -> None:
    assert set(seen.pop("names")) <= {*NAMES, "Path", "json", "os", "sys"}
    for what, value in {
        "jobs": [],
        "tables": [],
        "databases": ["default"],
        "storage": 0,
        "files": [],
        "main": [""],
    }.items():
        assert seen[what] == value, what


# Whether a function runs in a child of a daemon that was there before it.
DAEMON = """
import os
from pathlib import Path
from pyspark.sql.functions import udf

java = sc._jvm.java.lang.ProcessHandle.current().pid()
there = []
for stat in Path("/proc").glob("[0-9]*/stat"):
    try:
        if int(stat.read_text().rpartition(")")[2].split()[1]) == java:
            there.append(int(stat.parent.name))
    except OSError:
        pass
print(spark.range(1).select(udf(lambda _: os.getppid(), "long")("id")).collect()[0][0] in there)
"""


def test_a_session_with_runtime_properties_gets_the_waiting_context(waiting: Kernel, engine: dict[str, Any]) -> None:
    assert waiting.server.ask(op="exec", id="early")["err"] in ("not ready", "no code")
    before = json.loads((waiting.work / "ready.json").read_text())["spark"]["app_id"]
    conf = {**engine["spark"], "spark.sql.shuffle.partitions": "7"}
    assert claim(waiting, conf) == {"v": 1, "ok": True}
    seen = look(waiting)
    expect_clean(seen)
    assert (seen["partitions"], seen["serializer"]) == (["7", "7", "7"], None)
    assert waiting.run("print(sc.applicationId)").stdout == before + "\n"
    got = waiting.run(DAEMON)
    assert (got.stdout, got.stderr) == ("True\n", "")
    assert waiting.run("print(spark.range(10).count())").stdout == "10\n"
    # A claim that comes again changes nothing.
    assert claim(waiting, {**conf, "spark.sql.shuffle.partitions": "8"}) == {"v": 1, "ok": True}
    assert look(waiting)["partitions"] == ["7", "7", "7"]
    # What was set stays when user code stops Spark.
    waiting.run("spark.stop()")
    assert look(waiting)["partitions"] == ["7", "7", "7"]


def test_a_session_with_static_properties_gets_a_context_of_its_own(waiting: Kernel, engine: dict[str, Any]) -> None:
    kryo = "org.apache.spark.serializer.KryoSerializer"
    conf = {**engine["spark"], "spark.serializer": kryo, "spark.app.name": "mine", "spark.sql.shuffle.partitions": "3"}
    assert claim(waiting, conf) == {"v": 1, "ok": True}
    seen = look(waiting)
    expect_clean(seen)
    assert (seen["partitions"], seen["serializer"], seen["name"]) == (["3", "3", "3"], kryo, "mine")
    assert waiting.run("print(sc.parallelize([1, 2]).map(lambda x: x + 1).sum())").stdout == "5\n"


def test_a_session_with_another_warehouse_in_s3_gets_the_waiting_context(engine: dict[str, Any]) -> None:
    spark = {**engine["spark"], WAREHOUSE: "s3://one/warehouse"}
    with Kernel({**engine, "spark": spark, "ahead": {"store": ""}}) as kernel:
        kernel.until((kernel.work / "ready.json").exists, "ready", WARM_SECONDS)
        before = json.loads((kernel.work / "ready.json").read_text())["spark"]["app_id"]
        assert claim(kernel, {**spark, WAREHOUSE: "s3://other/warehouse"}) == {"v": 1, "ok": True}
        got = kernel.run(
            f"print(sc.applicationId, spark.conf.get({WAREHOUSE!r}), spark.newSession().conf.get({WAREHOUSE!r}))"
        )
        assert got.stdout == f"{before} s3://other/warehouse s3://other/warehouse\n"


def test_a_refusal_of_spark_is_reported_with_its_message(waiting: Kernel, engine: dict[str, Any]) -> None:
    answer = claim(waiting, {**engine["spark"], "spark.sql.shuffle.partitions": "many"})
    assert answer["ok"] is False
    assert "many" in answer["error"]["value"]
    assert waiting.server.ask(op="exec", id="late")["err"] in ("not ready", "no code")
