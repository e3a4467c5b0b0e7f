"""Calculations on real PySpark, through boto3."""

from __future__ import annotations

from harness import Athena


def test_completed_has_everything_that_clients_read(athena: Athena, session: str) -> None:
    got = athena.run(session, "pass")
    raw = got.raw
    assert got.state == "COMPLETED"
    assert "StateChangeReason" not in raw["Status"]
    assert raw["Statistics"]["DpuExecutionInMillis"] > 0
    assert raw["Statistics"]["Progress"] == "100%"
    assert raw["Result"]["ResultType"] == "application/vnd.aws.athena.v1+json"
    assert raw["WorkingDirectory"].endswith(f"/session/{session}/{raw['CalculationExecutionId']}")
    assert raw["Status"]["SubmissionDateTime"] <= raw["Status"]["CompletionDateTime"]
    assert (got.stdout, got.stderr, got.results) == (b"", b"", [])


def test_blocks_share_variables_and_spark(athena: Athena, session: str) -> None:
    assert athena.run(session, "df = spark.range(10)\nx = 41").state == "COMPLETED"
    got = athena.run(session, "print(x + 1, df.count(), sc.version)")
    assert got.stdout == b"42 10 3.5.9\n"


def test_a_python_error_reads_as_on_athena(athena: Athena, session: str) -> None:
    got = athena.run(session, "\nfoobar")
    assert got.state == "FAILED"
    text = "File \"<stdin>\", line 2, in <module>\nNameError: name 'foobar' is not defined"
    assert got.stderr.decode().strip() == text
    assert got.reason == "NameError: name 'foobar' is not defined"
    assert athena.status(session)["State"] == "IDLE"


def test_the_last_expression_is_a_result(athena: Athena, session: str) -> None:
    got = athena.run(session, "1 + 1")
    assert got.stdout == b""
    assert got.results == [{"data": {"text/plain": "2"}, "metadata": {}}]


def test_spark_reads_and_writes_s3(athena: Athena, session: str) -> None:
    code = """
path = "s3://e2e-data/numbers"
spark.range(100).selectExpr("id", "id % 3 as k").write.mode("overwrite").partitionBy("k").parquet(path)
print(spark.read.parquet(path).where("k = 1").count())
"""
    assert athena.run(session, code).stdout == b"33\n"
    keys = [o["Key"] for o in athena.s3.list_objects_v2(Bucket="e2e-data")["Contents"]]
    assert any(k.startswith("numbers/k=1/part-") for k in keys)


def test_aws_clients_inside_a_block_reach_the_same_services(athena: Athena, session: str) -> None:
    code = f"""
import boto3
print(boto3.client("athena").get_session_status(SessionId="{session}")["Status"]["State"])
boto3.client("s3").put_object(Bucket="e2e-inside", Key="x.csv", Body=b"a,b\\n1,2\\n")
print(spark.read.csv("s3://e2e-inside/x.csv", header=True).first().b)
"""
    assert athena.run(session, code).stdout == b"BUSY\n2\n"


def test_python_functions_run_on_workers(athena: Athena, session: str) -> None:
    code = """
from pyspark.sql.functions import udf
print([r[0] for r in spark.range(3).select(udf(lambda i: f"n{i}")("id")).collect()])
print(sc.parallelize(range(4)).map(lambda i: i * i).sum())
"""
    assert athena.run(session, code).stdout == b"['n0', 'n1', 'n2']\n14\n"


def test_the_libraries_that_athena_users_expect(athena: Athena, session: str) -> None:
    code = """
import boto3, matplotlib, numpy, pandas, pyarrow, requests
print(spark.createDataFrame(pandas.DataFrame({"a": [1, 2]})).toPandas().a.sum())
"""
    got = athena.run(session, code)
    assert got.stdout == b"3\n", got.stderr


def test_listing_code_and_executors(athena: Athena, session: str) -> None:
    cid = athena.submit(session, "# ünïcode\npass", Description="described")
    athena.await_calculation(cid)
    code = athena.api.get_calculation_execution_code(CalculationExecutionId=cid)["CodeBlock"]
    assert code == "# ünïcode\npass"
    first = athena.api.list_calculation_executions(SessionId=session, MaxResults=1)
    assert [c["CalculationExecutionId"] for c in first["Calculations"]] == [cid]
    assert first["Calculations"][0]["Description"] == "described"
    second = athena.api.list_calculation_executions(SessionId=session, MaxResults=1, NextToken=first["NextToken"])
    assert second["Calculations"][0]["CalculationExecutionId"] != cid
    executors = athena.api.list_executors(SessionId=session)
    assert executors["SessionId"] == session
    kinds = {e["ExecutorType"]: e for e in executors["ExecutorsSummary"]}
    assert set(kinds) == {"COORDINATOR", "GATEWAY"}
    assert all(e["ExecutorState"] == "REGISTERED" and e["StartDateTime"] > 1.7e12 for e in kinds.values())
