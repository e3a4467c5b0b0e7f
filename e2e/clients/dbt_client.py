"""dbt-athena's own helper for Python models, called as its adapter calls it: with the parsed model, the credentials of
a profile, and the compiled code. A whole `dbt run` also needs Athena SQL, which is not what is tested here.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from dbt.adapters.athena import session as sessions
from dbt.adapters.athena.connections import AthenaCredentials
from dbt.adapters.athena.constants import DEFAULT_THREAD_COUNT
from dbt.adapters.athena.python_submissions import AthenaPythonJobHelper
from dbt_common.exceptions import DbtRuntimeError
from scenario import CODE, EXPECT, WORK_GROUP, check, ok, until, version

# What dbt makes of a model: functions, a dbt object, and the table written at the end. Its first line is blank.
COMPILED = """
import pyspark

def model(dbt, session):
    dbt.config(materialized="table")
    return session.range(5).selectExpr("id * id as square")

class dbtObj:
    def config(self, **kwargs):
        pass

def materialize(spark_session, df, location):
    assert isinstance(df, pyspark.sql.dataframe.DataFrame)
    spark_session.sql("create database if not exists analytics")
    df.write.format("parquet").mode("overwrite").option("path", location).saveAsTable(name="analytics.NAME")
    return "Success: analytics.NAME"

df = model(dbtObj(), spark)
materialize(spark, df, "s3://of-dbt/analytics/NAME")
print(spark.table("analytics.NAME").count())
"""
SLOW = "import time\ntime.sleep(4)\n" + COMPILED.lstrip()

CREDENTIALS = AthenaCredentials(
    database="awsdatacatalog", schema="analytics", region_name=os.environ["AWS_REGION"], spark_work_group=WORK_GROUP
)
# For what dbt leaves to other tools: reading outputs, and ending a session behind its back.
athena, s3 = boto3.client("athena"), boto3.client("s3")


def main() -> None:
    version(f"dbt-athena {importlib.metadata.version('dbt-athena')}")

    # As many models at once as dbt-athena has threads: a session each.
    names = [f"model_{n}" for n in range(DEFAULT_THREAD_COUNT)]
    with ThreadPoolExecutor(len(names)) as pool:
        first = list(pool.map(lambda name: helper(name).submit(COMPILED.replace("NAME", name)), names))
    check(len(sessions.spark_session_list), DEFAULT_THREAD_COUNT)
    check({session_of(got) for got in first}, {str(s) for s in sessions.spark_session_list})
    descriptions = {athena.get_session(SessionId=str(s))["Description"] for s in sessions.spark_session_list}
    check(descriptions, set(sessions.spark_session_list.values()))
    ok("session")
    for name, got in zip(names, first, strict=True):
        check(read(got["StdOutS3Uri"]), "5\n")
        listed = s3.list_objects_v2(Bucket="of-dbt", Prefix=f"analytics/{name}/")["Contents"]
        assert any(o["Key"].endswith(".parquet") for o in listed), listed
    ok("stdout")

    # From now on a session with the same configuration is used again; two at once share one, and the later one is
    # told that it is BUSY, waits and comes through.
    pair = [helper(f"again_{n}") for n in range(2)]
    with ThreadPoolExecutor(len(pair)) as pool:
        both = list(pool.map(lambda h: h.submit(SLOW.replace("NAME", h.relation_name)), pair))
    check([read(got["StdOutS3Uri"]) for got in both], ["5\n", "5\n"])
    check(len(sessions.spark_session_list), DEFAULT_THREAD_COUNT)
    check(len({h.session_id for h in pair}), 1)
    times = [calculation(got)["Status"] for got in both]
    times.sort(key=lambda t: t["SubmissionDateTime"])
    assert times[0]["CompletionDateTime"] <= times[1]["SubmissionDateTime"], times
    ok("busy")
    ok("reuse")

    other = helper("other", {"engine_config": {"MaxConcurrentDpus": 3}})
    other.submit(COMPILED.replace("NAME", "other"))
    check(len(sessions.spark_session_list), DEFAULT_THREAD_COUNT + 1)
    size = athena.get_session(SessionId=other.session_id)["EngineConfiguration"]["MaxConcurrentDpus"]
    check(size, 3)
    ok("engine_config")

    failing = helper("failing")
    message = raised(lambda: failing.submit(CODE["failure"]))
    assert re.search(r"^ *Status: +FAILED$", message, re.MULTILINE), message
    reason, place = (
        re.search(rf"^ *{what}: +(.*)$", message, re.MULTILINE)[1] for what in ("Reason", "Stderr s3 path")
    )
    check(reason, EXPECT["failure"].splitlines()[-1])
    # dbt strips the block's beginning, so that the line numbers are of what it sent.
    check(read(place).strip(), EXPECT["failure"].replace("line 2", "line 1"))
    ok("failure")

    late = helper("late", {"timeout": 1})
    message = raised(lambda: late.submit(CODE["endless"]))
    late_one = re.search(r"Execution (\S+) did not complete within 1 seconds", message)
    assert late_one, message
    check(until(lambda: ended(late_one[1])), "CANCELED")
    ok("timeout")

    # A session that ended behind dbt's back: it is told so by the words of the refusal, and takes another.
    gone = helper("gone")
    before = gone.session_id
    athena.terminate_session(SessionId=before)
    check(read(gone.submit(COMPILED.replace("NAME", "gone"))["StdOutS3Uri"]), "5\n")
    assert gone.session_id != before
    ok("lost_session")


def helper(name: str, config: dict[str, Any] | None = None) -> AthenaPythonJobHelper:
    return AthenaPythonJobHelper({"relation_name": name, "config": config or {}}, CREDENTIALS)


def calculation(result: dict[str, str]) -> dict[str, Any]:
    return athena.get_calculation_execution(CalculationExecutionId=result["StdOutS3Uri"].split("/")[-2])


def session_of(result: dict[str, str]) -> str:
    return calculation(result)["SessionId"]


def ended(cid: str) -> str | None:
    state = athena.get_calculation_execution_status(CalculationExecutionId=cid)["Status"]["State"]
    return state if state in ("COMPLETED", "FAILED", "CANCELED") else None


def read(uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def raised(call: Callable[[], object]) -> str:
    try:
        got = call()
    except DbtRuntimeError as e:
        return str(e)
    raise AssertionError(f"no DbtRuntimeError but {got!r}")


main()
