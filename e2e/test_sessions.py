"""Workgroups and the life of sessions, through boto3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from harness import Athena, Server, running, wait_for
from harness.dropper import Dropper


def refusal(call: Any, code: str = "INVALID_INPUT", **kwargs: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**kwargs)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"
    assert refused.value.response["AthenaErrorCode"] == code
    return refused.value.response["Error"]["Message"]


def dropping(dropper: Dropper, server: Server) -> Any:
    """A client of default settings behind a network that loses answers."""
    env = server.env
    return boto3.client(
        "athena",
        endpoint_url=dropper.endpoint,
        region_name="us-east-1",
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        config=Config(max_pool_connections=1),
    )


class Told(NamedTuple):
    """A session with everything told that can be told, in a workgroup with defaults."""

    id: str
    group: str
    given: dict[str, Any]


TAILORED = "tailored.work_group-1"
PROPERTIES = {"spark.sql.shuffle.partitions": "7", "spark.hadoop.fs.s3.useRequesterPaysHeader": "true", "unknown": "x"}


@pytest.fixture(scope="module")
def told(athena: Athena) -> Told:
    athena.api.create_work_group(
        Name=TAILORED,
        Description="all of it",
        Configuration={
            "ResultConfiguration": {"OutputLocation": "s3://e2e-tailored/some/place/"},
            "EngineVersion": {"SelectedEngineVersion": "Apache Spark version 3.5"},
            "EngineConfiguration": {
                "MaxConcurrentDpus": 8,
                "SparkProperties": {"spark.sql.shuffle.partitions": "99", "spark.sql.session.timeZone": "Asia/Tokyo"},
            },
            "ExecutionRole": "arn:aws:iam::123456789012:role/spark",
        },
    )
    given = {
        "WorkGroup": TAILORED,
        "Description": "tëst",
        "EngineConfiguration": {
            "CoordinatorDpuSize": 1,
            "MaxConcurrentDpus": 4,
            "DefaultExecutorDpuSize": 1,
            "SparkProperties": PROPERTIES,
        },
        "SessionIdleTimeoutInMinutes": 33,
        "ClientRequestToken": str(uuid.uuid4()),
    }
    return Told(athena.session(**given), TAILORED, given)


@pytest.fixture(scope="module")
def crowd(athena: Athena) -> list[str]:
    """Three sessions, oldest first, that were ended while they started."""
    athena.api.create_work_group(Name="crowd")
    ids = []
    for _ in range(3):
        sid = athena.start(WorkGroup="crowd")
        assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
        assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
        ids.append(sid)
    return ids


# Workgroups.


def test_the_primary_workgroup_is_there(athena: Athena) -> None:
    got = athena.api.get_work_group(WorkGroup="primary")["WorkGroup"]
    assert got["State"] == "ENABLED"
    assert got["Configuration"]["ResultConfiguration"] == {"OutputLocation": "s3://ergane-results/primary"}
    assert got["Configuration"]["EngineVersion"]["EffectiveEngineVersion"] == "PySpark engine version 3"
    assert "Description" not in got


def test_a_workgroup_is_as_it_was_made(athena: Athena, told: Told) -> None:
    got = athena.api.get_work_group(WorkGroup=told.group)["WorkGroup"]
    configuration = got["Configuration"]
    assert (got["Name"], got["Description"], got["State"]) == (told.group, "all of it", "ENABLED")
    assert configuration["ResultConfiguration"]["OutputLocation"] == "s3://e2e-tailored/some/place"
    assert configuration["EngineVersion"] == {
        "SelectedEngineVersion": "Apache Spark version 3.5",
        "EffectiveEngineVersion": "Apache Spark version 3.5",
    }
    assert configuration["EngineConfiguration"]["MaxConcurrentDpus"] == 8
    assert configuration["ExecutionRole"] == "arn:aws:iam::123456789012:role/spark"


def test_workgroups_are_listed_by_name_and_in_pages(athena: Athena, told: Told, crowd: list[str]) -> None:
    names, token = [], {}
    for _ in range(100):
        page = athena.api.list_work_groups(MaxResults=1, **token)
        assert len(page["WorkGroups"]) <= 1
        names += [w["Name"] for w in page["WorkGroups"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert names == sorted(names)
    assert {"crowd", "primary", told.group} <= set(names)
    every = {w["Name"]: w for w in athena.api.list_work_groups()["WorkGroups"]}
    assert set(every) == set(names)
    assert (every["crowd"]["Description"], every[told.group]["Description"]) == ("", "all of it")
    assert every["crowd"]["EngineVersion"]["SelectedEngineVersion"] == "AUTO"


def test_a_workgroup_that_cannot_be_made(athena: Athena) -> None:
    create = athena.api.create_work_group
    assert refusal(create, Name="primary") == "WorkGroup is already created"
    said = refusal(create, Name="old", Configuration={"EngineVersion": {"SelectedEngineVersion": "Spark 1.0"}})
    assert "Spark 1.0" in said
    assert "PySpark engine version 3" in said
    said = refusal(create, Name="far", Configuration={"ResultConfiguration": {"OutputLocation": "https://x.example/y"}})
    assert "https://x.example/y" in said
    assert not {"old", "far"} & {w["Name"] for w in athena.api.list_work_groups()["WorkGroups"]}


# What a session is told, and what it tells.


def test_a_session_shows_what_it_was_started_with(athena: Athena, told: Told) -> None:
    got = athena.api.get_session(SessionId=told.id)
    assert got["EngineVersion"] == "Apache Spark version 3.5"  # a string here, a structure in lists
    assert (got["WorkGroup"], got["Description"]) == (told.group, "tëst")
    configuration = got["SessionConfiguration"]
    assert configuration["IdleTimeoutSeconds"] == 33 * 60
    assert configuration["SessionIdleTimeoutInMinutes"] == 33
    assert configuration["ExecutionRole"] == "arn:aws:iam::123456789012:role/spark"
    assert configuration["WorkingDirectory"] == f"s3://e2e-tailored/some/place/session/{told.id}"
    engine = got["EngineConfiguration"]
    assert (engine["CoordinatorDpuSize"], engine["MaxConcurrentDpus"], engine["DefaultExecutorDpuSize"]) == (1, 4, 1)
    assert engine["SparkProperties"] == PROPERTIES | {"spark.sql.session.timeZone": "Asia/Tokyo"}
    status = got["Status"]
    assert status["State"] == "IDLE"
    assert status["StartDateTime"] <= status["IdleSinceDateTime"] <= status["LastModifiedDateTime"]
    assert not {"EndDateTime", "StateChangeReason"} & set(status)
    assert got["Statistics"]["DpuExecutionInMillis"] >= 0
    assert str(uuid.UUID(told.id)) == told.id


def test_spark_properties_reach_spark_and_outputs_their_place(athena: Athena, told: Told) -> None:
    code = """
print(spark.conf.get("spark.sql.shuffle.partitions"), spark.conf.get("spark.sql.session.timeZone"))
print(sc._jsc.hadoopConfiguration().get("fs.s3.useRequesterPaysHeader"), "unknown" in dict(sc.getConf().getAll()))
print(spark.range(10).groupBy("id").count().rdd.getNumPartitions() <= 7)
"""
    got = athena.run(told.id, code)
    assert got.stdout == b"7 Asia/Tokyo\ntrue False\nTrue\n"
    cid = got.raw["CalculationExecutionId"]
    place = f"s3://e2e-tailored/some/place/session/{told.id}/{cid}"
    assert got.raw["WorkingDirectory"] == place
    assert got.raw["Result"]["StdOutS3Uri"] == f"{place}/stdout"
    assert got.raw["Result"]["StdErrorS3Uri"] == f"{place}/stderr"
    assert got.raw["Result"]["ResultS3Uri"] == f"{place}/results"


@pytest.mark.parametrize(
    "key",
    ["spark.master", "spark.ui.enabled", "spark.driver.extraJavaOptions", "spark.plugins", " Spark.Master", "spark.x"],
)
def test_a_refused_property_is_named(athena: Athena, key: str) -> None:
    said = refusal(athena.start, EngineConfiguration={"SparkProperties": {"spark.sql.ansi.enabled": "true", key: "1"}})
    assert f'"{key}"' in said


def test_a_refused_property_is_found_wherever_it_stands(athena: Athena) -> None:
    master = {"spark.master": "local"}
    for engine in (
        {"AdditionalConfigs": master},
        {"Classifications": [{"Name": "spark-defaults", "Properties": master}]},
    ):
        assert '"spark.master"' in refusal(athena.start, EngineConfiguration=engine)


def test_a_notebook_needs_its_version(athena: Athena) -> None:
    said = refusal(athena.start, EngineConfiguration={"AdditionalConfigs": {"NotebookId": str(uuid.uuid4())}})
    assert said == "NotebookVersion is required when NotebookId is provided."


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("spark.sql.shuffle.partitions", "many", "spark.sql.shuffle.partitions should be int, but was many"),
        ("spark.network.timeout", "5parsecs", 'Invalid suffix: "parsecs"'),
        ("spark.driver.memory", "lots", "Failed to parse byte string: lots"),
    ],
)
def test_a_malformed_value_fails_the_session_with_sparks_sentence(
    athena: Athena, key: str, value: str, sentence: str
) -> None:
    sid = athena.start(EngineConfiguration={"SparkProperties": {key: value}})
    status = athena.await_session(sid)
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].endswith(sentence)
    assert "\tat " not in status["StateChangeReason"]
    assert status["EndDateTime"] >= status["StartDateTime"]
    assert athena.api.terminate_session(SessionId=sid)["State"] == "FAILED"
    said = refusal(athena.api.start_calculation_execution, SessionId=sid, CodeBlock="1")
    assert said == "Session is in the FAILED state; needs to be IDLE to accept Calculations."


# Lists.


def test_sessions_are_listed_newest_first_and_in_pages(athena: Athena, crowd: list[str]) -> None:
    first = athena.api.list_sessions(WorkGroup="crowd", StateFilter="TERMINATED", MaxResults=2)
    assert [s["SessionId"] for s in first["Sessions"]] == crowd[:0:-1]
    more = {"WorkGroup": "crowd", "StateFilter": "TERMINATED", "MaxResults": 2, "NextToken": first["NextToken"]}
    second = athena.api.list_sessions(**more)
    assert [s["SessionId"] for s in second["Sessions"]] == crowd[:1]
    assert "NextToken" not in second


def test_lists_hold_active_sessions_unless_asked_otherwise(athena: Athena, crowd: list[str], told: Told) -> None:
    assert athena.api.list_sessions(WorkGroup="crowd")["Sessions"] == []
    assert athena.api.list_sessions(WorkGroup="crowd", StateFilter="IDLE")["Sessions"] == []
    (mine,) = athena.api.list_sessions(WorkGroup=told.group)["Sessions"]
    assert (mine["SessionId"], mine["Description"], mine["Status"]["State"]) == (told.id, "tëst", "IDLE")
    assert mine["EngineVersion"]["EffectiveEngineVersion"] == "Apache Spark version 3.5"
    assert athena.api.list_sessions(WorkGroup=told.group, StateFilter="TERMINATED")["Sessions"] == []


# Repeated calls.


def test_a_token_makes_starts_idempotent(athena: Athena, told: Told) -> None:
    assert athena.start(**told.given) == told.id
    changed = told.given | {"Description": "another"}
    said = refusal(athena.start, "IDEMPOTENT_PARAMETER_MISMATCH", **changed)
    assert said == "Idempotent parameters do not match"
    assert [s["SessionId"] for s in athena.api.list_sessions(WorkGroup=told.group)["Sessions"]] == [told.id]


def test_a_token_gives_the_same_calculation_in_every_state(athena: Athena, session: str, common: Path) -> None:
    go, runs = common / "go", common / "runs"
    code = f"""
import os, time
open({str(runs)!r}, "a").write("x")
while not os.path.exists({str(go)!r}): time.sleep(0.01)
"""
    token = {"ClientRequestToken": str(uuid.uuid4())}
    cid = athena.submit(session, code, **token)
    try:
        assert athena.submit(session, code, **token) == cid  # while the session is BUSY with it
        said = refusal(lambda: athena.submit(session, "other", **token), "IDEMPOTENT_PARAMETER_MISMATCH")
        assert said == "Idempotent parameters do not match"
    finally:
        go.touch()
    assert athena.await_calculation(cid)["Status"]["State"] == "COMPLETED"
    assert athena.submit(session, code, **token) == cid
    assert athena.status(session)["State"] == "IDLE"
    assert runs.read_text() == "x"


def test_a_lost_answer_does_not_run_code_twice(shared_server: Server, athena: Athena, session: str) -> None:
    athena.run(session, "attempts = 0")
    with Dropper(shared_server.env["AWS_ENDPOINT_URL_ATHENA"]) as dropper:
        api = dropping(dropper, shared_server)
        got = api.start_calculation_execution(SessionId=session, CodeBlock="attempts += 1")
        api.close()
    assert dropper.requests == 2
    assert got["ResponseMetadata"]["RetryAttempts"] == 1
    assert athena.await_calculation(got["CalculationExecutionId"])["Status"]["State"] == "COMPLETED"
    assert athena.run(session, "print(attempts)").stdout == b"1\n"


def test_a_lost_answer_does_not_start_two_sessions(shared_server: Server, athena: Athena) -> None:
    athena.api.create_work_group(Name="lossy")
    with Dropper(shared_server.env["AWS_ENDPOINT_URL_ATHENA"]) as dropper:
        api = dropping(dropper, shared_server)
        sid = api.start_session(WorkGroup="lossy", EngineConfiguration={})["SessionId"]
        api.close()
    assert dropper.requests == 2
    assert [s["SessionId"] for s in athena.api.list_sessions(WorkGroup="lossy")["Sessions"]] == [sid]
    athena.api.terminate_session(SessionId=sid)


# The end.


def test_terminating_a_busy_session_cancels_its_calculation_and_keeps_what_it_printed(
    athena: Athena, common: Path
) -> None:
    sid = athena.session()
    there = common / "there"
    cid = athena.submit(sid, f"print('begun')\nopen({str(there)!r}, 'w')\nimport time\nwhile True: time.sleep(1)")
    wait_for("start of the code", there.exists)
    assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
    again = athena.api.terminate_session(SessionId=sid)["State"]
    assert again in ("TERMINATING", "TERMINATED")
    status = athena.await_session(sid, leave="TERMINATING")
    assert (status["State"], status["StateChangeReason"]) == ("TERMINATED", "Session was terminated per request")
    assert status["EndDateTime"] >= status["StartDateTime"]
    got = athena.api.get_calculation_execution(CalculationExecutionId=cid)
    assert got["Status"]["State"] == "CANCELED"
    assert "terminated" in got["Status"]["StateChangeReason"]
    assert athena.read(got["Result"]["StdOutS3Uri"]) == b"begun\n"
    assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATED"


# Holding.


@pytest.fixture
def patient_server(tmp_path: Path) -> Iterator[Server]:
    """A server whose hold is so long that no test mistakes a quick answer for a held one."""
    with running(tmp_path, "--hold", "0") as server:
        yield server


def test_held_reads_see_the_end_and_without_hold_they_see_the_present(patient_server: Server, common: Path) -> None:
    go = common / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    athena = Athena(patient_server)
    started = athena.api.start_session(WorkGroup="primary", EngineConfiguration={})
    assert started["State"] == "CREATING"
    sid = started["SessionId"]
    assert athena.status(sid)["State"] == "CREATING"
    assert athena.await_session(sid)["State"] == "IDLE"
    athena.run(sid, "kept = 'kept'")
    cid = athena.submit(sid, code)
    got = athena.api.get_calculation_execution_status(CalculationExecutionId=cid)
    assert got["Status"]["State"] in ("CREATING", "RUNNING")
    go.touch()
    athena.await_calculation(cid)

    # The kernel outlives the server's polite end, with its variables.
    before = patient_server.session_processes()
    assert patient_server.stop() == 0
    assert patient_server.session_processes() == before
    patient_server.start("--hold", "10m")
    athena = Athena(patient_server, read_timeout=900)
    assert athena.run(sid, "print(kept)").stdout == b"kept\n"

    # One read is enough for a client, however seldom it polls.
    cid = athena.submit(sid, "import time; time.sleep(0.5)")
    assert athena.api.get_calculation_execution(CalculationExecutionId=cid)["Status"]["State"] == "COMPLETED"
    go.unlink()
    cid = athena.submit(sid, code)
    assert athena.api.stop_calculation_execution(CalculationExecutionId=cid)["State"] == "CANCELING"
    got = athena.api.get_calculation_execution_status(CalculationExecutionId=cid)
    assert got["Status"]["State"] == "CANCELED"
    second = athena.start()
    assert athena.status(second)["State"] == "IDLE"
    for each in (sid, second):
        assert athena.api.terminate_session(SessionId=each)["State"] == "TERMINATING"
        assert athena.status(each)["State"] == "TERMINATED"


def test_an_idle_session_ends_and_a_busy_one_does_not(athena: Athena) -> None:
    busy = athena.session(SessionIdleTimeoutInMinutes=1)
    running = athena.submit(busy, "import time\nwhile True: time.sleep(0.1)")
    idle = athena.session(SessionIdleTimeoutInMinutes=1)
    since = athena.status(idle)["IdleSinceDateTime"]
    ended = athena.await_session(idle, leave="IDLE TERMINATING")
    assert ended["State"] == "TERMINATED"
    assert ended["StateChangeReason"] == "Session was terminated because it was idle for 1 minute"
    assert 60 <= (ended["EndDateTime"] - since).total_seconds() < 3600  # not of another unit
    # By now the other one has not been idle for longer than that.
    assert athena.status(busy)["State"] == "BUSY"
    athena.api.stop_calculation_execution(CalculationExecutionId=running)
    assert athena.await_calculation(running)["Status"]["State"] == "CANCELED"
    assert athena.status(busy)["State"] == "IDLE"
    athena.api.terminate_session(SessionId=busy)
