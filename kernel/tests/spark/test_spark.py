"""Blocks and Spark: what is there, what is kept apart, what the control side learns."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import Kernel, children


def test_ready_names_the_version_and_the_application(spark_kernel: Kernel) -> None:
    spark_kernel.server.ask(op="ping")
    ready = json.loads((spark_kernel.work / "ready.json").read_text())
    assert ready["ok"] is True
    assert ready["spark"]["version"].startswith("3.5.")
    assert ready["spark"]["app_id"].startswith("local-")


def test_spark_and_sc_are_there_and_only_prints_are_stdout(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run("spark.range(3).show()\nprint(sc.parallelize([1, 2]).sum())\nspark.range(2).count()")
    assert calculation.state == "COMPLETED", calculation.stderr
    assert calculation.stdout == "+---+\n| id|\n+---+\n|  0|\n|  1|\n|  2|\n+---+\n\n3\n"
    assert calculation.stderr == ""
    assert [output["data"]["text/plain"] for output in calculation.outputs] == ["2"]


def test_functions_of_a_block_run_on_the_workers(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run(
        "from pyspark.sql.functions import udf\n@udf('int')\ndef plus(x): print('in the worker'); return x + offset\n"
        "offset = 5\nprint(spark.range(2).select(plus('id')).collect())"
    )
    assert calculation.state == "COMPLETED", calculation.stderr
    assert calculation.stdout == "[Row(plus(id)=5), Row(plus(id)=6)]\n"


def test_spark_errors_are_the_last_line(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run("\nspark.sql('select * from nowhere')")
    error = calculation.outcome["error"]
    assert error["name"].endswith("AnalysisException")
    assert error["value"].startswith("[TABLE_OR_VIEW_NOT_FOUND]")
    assert calculation.stderr.startswith('  File "<stdin>", line 2, in <module>\n')
    assert "WARN" not in calculation.stderr


def test_an_error_in_a_worker_names_the_users_line(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run("def bad(x):\n    return 1 / 0\nsc.parallelize([1]).map(bad).collect()")
    assert calculation.state == "FAILED"
    assert 'File "<stdin>", line 2, in bad' in calculation.stderr


def test_executors_are_reported_while_a_block_runs(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.submit("import threading; go = threading.Event(); print('on'); go.wait()")
    calculation.await_stdout("on")
    answer = spark_kernel.server.ask(op="executors")
    assert answer["error"] == ""
    (driver,) = answer["executors"]
    assert (driver["id"], driver["active"], driver["removed_ms"]) == ("driver", True, None)
    assert driver["cores"] >= 1
    assert driver["added_ms"] > 1_700_000_000_000
    assert ":" in driver["host_port"]
    assert driver["app"] == spark_kernel.server.ask(op="executors")["executors"][0]["app"] != ""
    assert calculation.interrupt()["state"] == "CANCELED"


def test_progress_counts_the_tasks_of_the_running_calculation(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.submit(
        "import os, time\ngate = os.path.abspath('gate')\n"
        "def wait(i):\n    while i and not os.path.exists(gate): time.sleep(0.01)\n    return i\n"
        "print(sc.parallelize(range(2), 2).map(wait).sum())"
    )

    def half() -> bool:
        answer = spark_kernel.server.ask(op="progress", id=calculation.id)
        return (answer["tasks"], answer["done"]) == (2, 1)

    spark_kernel.until(half, "one task of two")
    (spark_kernel.work / "tmp" / "gate").touch()
    assert calculation.await_outcome()["state"] == "COMPLETED"
    spark_kernel.until(lambda: spark_kernel.server.ask(op="progress", id=calculation.id)["done"] == 2, "both tasks")
    assert spark_kernel.server.ask(op="progress", id="none")["tasks"] == 0


def test_the_streams_stay_with_the_block(spark_kernel: Kernel) -> None:
    """No descriptor of the JVM, of a daemon or of a worker is a spool file."""
    spark_kernel.run("sc.parallelize([1], 1).map(lambda x: x).count()")
    spool = {str(spark_kernel.work / name) for name in ("stdout", "stderr")}
    found = [spark_kernel.process.pid]
    for pid in found:
        found += children(pid)
    assert len(found) >= 2
    for pid in found[1:]:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it is closed meanwhile
                assert os.readlink(link) not in spool


def test_no_secret_is_left_for_the_children_of_a_block(spark_kernel: Kernel) -> None:
    assert "SECRET" not in spark_kernel.run("import os; os.system('env')").stdout
    assert not (spark_kernel.work / "tmp" / ".driver").exists()


def test_a_stopped_spark_is_started_again(fresh: Kernel) -> None:
    stopping = fresh.run("mine = spark\nspark.conf.set('spark.sql.shuffle.partitions', '3')\nspark.stop()")
    assert stopping.state == "COMPLETED", stopping.stderr
    following = fresh.run("print(spark.range(3).count(), sc.parallelize([1]).count(), mine is spark)")
    assert following.state == "COMPLETED", following.stderr
    assert following.stdout == "3 1 False\n"
    behind = fresh.run("spark._jsc.stop()")
    assert behind.state == "COMPLETED", behind.stderr
    assert fresh.run("print(spark.range(4).count())").stdout == "4\n"
    own = fresh.run(
        "from pyspark.sql import SparkSession\nspark.stop()\n"
        "session = SparkSession.builder.master('local[1]').appName('own').getOrCreate()"
    )
    assert own.state == "COMPLETED", own.stderr
    assert fresh.run("print(session.range(5).count(), spark.range(6).count(), sc.appName)").stdout == "5 6 own\n"
    interrupted = fresh.submit("import time\nprint('on')\nspark.range(10).count()\ntime.sleep(1000)")
    interrupted.await_stdout("on")
    assert interrupted.interrupt()["state"] == "CANCELED"


def test_a_killed_driver_is_reported_and_the_kernel_lives(fresh: Kernel) -> None:
    server = fresh.server
    (jvm,) = fresh.children()
    os.kill(jvm, signal.SIGKILL)
    server.event("driver")
    assert json.loads((fresh.work / "driver.json").read_text()) == {"v": 1, "code": -1, "signal": 9}
    calculation = fresh.run("print('python lives')\nspark.range(3).count()")
    assert calculation.stdout == "python lives\n"
    assert calculation.state == "FAILED"
    assert "ergane_kernel" not in calculation.stderr
    assert fresh.run("print(1)").stdout == "1\n"
    assert server.ask(op="executors")["error"] != ""
    interrupted = fresh.submit("import time\nprint('on'); time.sleep(1000)")
    interrupted.await_stdout("on")
    assert interrupted.interrupt()["state"] == "CANCELED"
    assert fresh.server.ask(op="shutdown") is not None
    assert fresh.wait_end() == 0


def test_a_driver_that_hangs_holds_up_neither_control_nor_python(fresh: Kernel) -> None:
    server = fresh.server
    fresh.run("spark.range(2).count()")
    (jvm,) = fresh.children()
    calculation = fresh.submit("import time\nprint('on'); time.sleep(1000)")
    calculation.await_stdout("on")
    os.kill(jvm, signal.SIGSTOP)
    try:
        question = server.send(op="executors")
        assert server.ask(op="ping")["current"] == calculation.id
        assert server.answer(question)["error"] != ""
        assert calculation.interrupt()["state"] == "CANCELED"
    finally:
        os.kill(jvm, signal.SIGCONT)
    assert fresh.run("print(spark.range(7).count())").stdout == "7\n"


def test_shutdown_takes_the_driver_along(fresh: Kernel) -> None:
    fresh.run("spark.range(2).count()")
    children = fresh.children()
    assert children
    fresh.server.ask(op="shutdown")
    assert fresh.wait_end() == 0
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert not (fresh.work / "driver.json").exists()


def test_the_driver_goes_when_the_kernel_is_killed(fresh: Kernel) -> None:
    fresh.server.ask(op="ping")
    (jvm,) = fresh.children()
    gone = os.pidfd_open(jvm)
    os.kill(fresh.process.pid, signal.SIGKILL)
    fresh.process.wait()
    import select

    assert select.select([gone], [], [], 30)[0], "the JVM outlives the kernel"
    os.close(gone)


def test_a_malformed_property_ends_the_kernel_with_sparks_own_sentence(engine: dict[str, Any]) -> None:
    for conf, part in (
        ({"spark.executor.memory": "much"}, "much"),
        ({"spark.sql.shuffle.partitions": "some"}, "spark.sql.shuffle.partitions should be int, but was some"),
        ({"spark.master": "nowhere", "spark.authenticate": "false"}, "nowhere"),
    ):
        with Kernel({**engine, "spark": {**engine["spark"], **conf}}) as kernel:
            assert kernel.wait_end() == 3
            ready = json.loads((kernel.work / "ready.json").read_text())
            assert ready["ok"] is False
            assert part in ready["error"]["value"]
            assert "Exception" in ready["error"]["name"]


def test_a_java_that_ends_at_once_is_reported(engine: dict[str, Any]) -> None:
    with Kernel({**engine, "java": {"argv": ["/bin/sh", "-c", "echo no java here; exit 5"], "env": {}}}) as kernel:
        assert kernel.wait_end() == 3
        error = json.loads((kernel.work / "ready.json").read_text())["error"]
        assert error == {"name": "", "value": "the Spark driver exited with status 5 before it was ready"}


# A JVM that says where it listens, and is killed before or while it is called for the first time.
DOOMED = """
import os, signal, socket, struct
listener = socket.create_server(("127.0.0.1", 0))
info = os.environ["_PYSPARK_DRIVER_CONN_INFO_PATH"]
with open(info + ".new", "wb") as file:
    file.write(struct.pack(">ii", listener.getsockname()[1], 6) + b"secret")
os.rename(info + ".new", info)
if {called}:
    listener.accept()[0].recv(1)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("called", [False, True])
def test_a_driver_that_is_killed_during_the_start_is_reported(engine: dict[str, Any], called: bool) -> None:
    java = {"argv": [sys.executable, "-c", DOOMED.format(called=called)], "env": {}}
    with Kernel({**engine, "java": java}) as kernel:
        assert kernel.wait_end() == 3
        error = json.loads((kernel.work / "ready.json").read_text())["error"]
        assert error == {"name": "", "value": "the Spark driver was killed by signal 9 (killed) before it was ready"}
