"""Workgroups from their creation to their end, their tags, and what sessions take from them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Athena, Server

ARN = "arn:aws:athena:us-east-1:000000000000:workgroup/"


@pytest.fixture
def group(athena: Athena) -> str:
    name = f"wg-{uuid.uuid4()}"
    athena.api.create_work_group(Name=name, Description="first", Tags=[{"Key": "team", "Value": "a"}])
    return name


def refusal(call: Any, **kwargs: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def tags(athena: Athena, arn: str) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in athena.api.list_tags_for_resource(ResourceARN=arn)["Tags"]}


def test_update_changes_what_it_names(athena: Athena, group: str) -> None:
    athena.api.update_work_group(
        WorkGroup=group,
        ConfigurationUpdates={
            "ResultConfigurationUpdates": {"OutputLocation": "s3://elsewhere/results/"},
            "EngineConfiguration": {"MaxConcurrentDpus": 4, "SparkProperties": {"spark.sql.shuffle.partitions": "3"}},
        },
    )
    got = athena.api.get_work_group(WorkGroup=group)["WorkGroup"]
    assert got["Description"] == "first"
    assert got["State"] == "ENABLED"
    assert got["Configuration"]["ResultConfiguration"] == {"OutputLocation": "s3://elsewhere/results"}

    sid = athena.session(WorkGroup=group, EngineConfiguration={})
    result = athena.run(sid, "print(spark.conf.get('spark.sql.shuffle.partitions'))")
    assert result.stdout == b"3\n"
    assert result.raw["Result"]["StdOutS3Uri"].startswith(f"s3://elsewhere/results/session/{sid}/")
    assert athena.api.get_session(SessionId=sid)["EngineConfiguration"]["MaxConcurrentDpus"] == 4

    # Taking the location away brings the default back, for new sessions.
    athena.api.update_work_group(
        WorkGroup=group,
        Description="second",
        ConfigurationUpdates={"ResultConfigurationUpdates": {"RemoveOutputLocation": True}},
    )
    got = athena.api.get_work_group(WorkGroup=group)["WorkGroup"]
    assert got["Description"] == "second"
    assert got["Configuration"]["ResultConfiguration"]["OutputLocation"] == f"s3://ergane-results/{group}"
    assert athena.run(sid, "1").raw["Result"]["StdOutS3Uri"].startswith("s3://elsewhere/")

    code, message = refusal(
        athena.api.update_work_group,
        WorkGroup=group,
        ConfigurationUpdates={"EngineVersion": {"SelectedEngineVersion": "Spark 9"}},
    )
    assert code == "InvalidRequestException"
    assert "PySpark engine version 3" in message  # names what there is
    athena.api.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)


def test_a_disabled_workgroup_takes_nothing_new(athena: Athena, group: str) -> None:
    sid = athena.session(WorkGroup=group)
    running = athena.submit(sid, "import time; time.sleep(1); print('on')")
    athena.api.update_work_group(WorkGroup=group, State="DISABLED")
    expected = ("InvalidRequestException", f"WorkGroup {group} is disabled.")
    assert refusal(athena.api.start_session, WorkGroup=group, EngineConfiguration={}) == expected
    assert athena.await_calculation(running)["Status"]["State"] == "COMPLETED"
    assert refusal(athena.api.start_calculation_execution, SessionId=sid, CodeBlock="1") == expected
    athena.api.update_work_group(WorkGroup=group, State="ENABLED")
    assert athena.run(sid, "print('back')").stdout == b"back\n"
    athena.api.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)


def test_a_workgroup_with_sessions_goes_only_recursively(athena: Athena, group: str) -> None:
    sid = athena.session(WorkGroup=group)
    cid = athena.submit(sid, "print('started', flush=True)\nwhile True: pass")
    assert refusal(athena.api.delete_work_group, WorkGroup=group) == (
        "InvalidRequestException",
        f"WorkGroup {group} is not empty",
    )
    assert athena.status(sid)["State"] == "BUSY"
    athena.api.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)
    unknown = ("InvalidRequestException", "WorkGroup is not found.")
    assert refusal(athena.api.get_work_group, WorkGroup=group) == unknown
    assert refusal(athena.api.delete_work_group, WorkGroup=group, RecursiveDeleteOption=True) == unknown
    assert refusal(athena.api.list_sessions, WorkGroup=group) == unknown
    assert refusal(athena.api.get_session, SessionId=sid)[1] == f"Session {sid} was not found"
    assert refusal(athena.api.get_calculation_execution, CalculationExecutionId=cid)[1].endswith("was not found")
    assert group not in [w["Name"] for w in athena.api.list_work_groups()["WorkGroups"]]
    athena.api.create_work_group(Name=group)  # the name is free
    athena.api.delete_work_group(WorkGroup=group)
    assert refusal(athena.api.delete_work_group, WorkGroup="primary")[0] == "InvalidRequestException"


def test_nothing_is_left_of_a_deleted_workgroups_kernels(own_server: Server) -> None:
    athena = Athena(own_server)
    athena.api.create_work_group(Name="short-lived")
    before = set(own_server.session_processes())
    athena.session(WorkGroup="short-lived")
    assert set(own_server.session_processes()) > before
    athena.api.delete_work_group(WorkGroup="short-lived", RecursiveDeleteOption=True)
    assert set(own_server.session_processes()) == before


def test_tags_of_workgroups_and_sessions(athena: Athena, group: str) -> None:
    api = athena.api
    arn = ARN + group
    api.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "1"}, {"Key": "team", "Value": "b"}])
    assert tags(athena, arn) == {"cost": "1", "team": "b"}

    copied = athena.start(WorkGroup=group, Tags=[{"Key": "cost", "Value": "2"}, {"Key": "own", "Value": ""}])
    alone = athena.start(WorkGroup=group, Tags=[{"Key": "own", "Value": "x"}], CopyWorkGroupTags=False)
    assert tags(athena, f"{arn}/session/{copied}") == {"cost": "2", "team": "b", "own": ""}
    assert tags(athena, f"{arn}/session/{alone}") == {"own": "x"}

    api.untag_resource(ResourceARN=arn, TagKeys=["team", "never there"])
    assert tags(athena, arn) == {"cost": "1"}
    assert tags(athena, f"{arn}/session/{copied}")["team"] == "b"  # copied at the start, its own since
    api.untag_resource(ResourceARN=f"{arn}/session/{copied}", TagKeys=["own"])
    assert tags(athena, f"{arn}/session/{copied}") == {"cost": "2", "team": "b"}

    many = [{"Key": f"k{i}", "Value": "v"} for i in range(50)]
    assert "at most 50" in refusal(api.tag_resource, ResourceARN=arn, Tags=many)[1]
    assert "reserved" in refusal(api.tag_resource, ResourceARN=arn, Tags=[{"Key": "aws:x", "Value": ""}])[1]
    assert tags(athena, arn) == {"cost": "1"}
    api.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)
    for gone in (
        arn,
        f"{arn}/session/{copied}",
        ARN + f"primary/session/{copied}",
        ARN.replace("workgroup", "x") + "y",
    ):
        code, _ = refusal(api.list_tags_for_resource, ResourceARN=gone)
        assert code == "ResourceNotFoundException", gone
        assert refusal(api.tag_resource, ResourceARN=gone, Tags=[{"Key": "a", "Value": "b"}])[0] == code
        assert refusal(api.untag_resource, ResourceARN=gone, TagKeys=["a"])[0] == code
    assert refusal(api.list_tags_for_resource, ResourceARN="primary")[0] == "InvalidRequestException"


def test_tags_and_updates_outlive_the_server(own_server: Server) -> None:
    athena = Athena(own_server)
    athena.api.update_work_group(WorkGroup="primary", Description="kept")
    athena.api.tag_resource(ResourceARN=ARN + "primary", Tags=[{"Key": "a", "Value": "ü"}])
    athena.api.create_work_group(Name="gone")
    athena.api.delete_work_group(WorkGroup="gone")
    own_server.kill()
    own_server.start()
    athena = Athena(own_server)
    assert athena.api.get_work_group(WorkGroup="primary")["WorkGroup"]["Description"] == "kept"
    assert tags(athena, ARN + "primary") == {"a": "ü"}
    assert [w["Name"] for w in athena.api.list_work_groups()["WorkGroups"]] == ["primary"]


def test_engine_versions_and_dpu_sizes(athena: Athena) -> None:
    api = athena.api
    everything = api.list_engine_versions()["EngineVersions"]
    assert everything[0] == {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "PySpark engine version 3"}
    assert {v["SelectedEngineVersion"] for v in everything} == {
        "AUTO",
        "PySpark engine version 3",
        "Apache Spark version 3.5",
    }
    paged: list[Any] = []
    more: dict[str, str] = {}
    while True:
        page = api.list_engine_versions(MaxResults=1, **more)
        assert len(page["EngineVersions"]) == 1
        paged += page["EngineVersions"]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert paged == everything
    assert refusal(api.list_engine_versions, NextToken="x")[0] == "InvalidRequestException"

    sizes = api.list_application_dpu_sizes(MaxResults=1)
    assert sizes["ApplicationDPUSizes"] == [
        {"ApplicationRuntimeId": "Athena notebook version 1", "SupportedDPUSizes": [1]}
    ]
    assert "NextToken" not in sizes


def test_enforced_settings_win(athena: Athena, group: str) -> None:
    athena.api.update_work_group(
        WorkGroup=group,
        ConfigurationUpdates={
            "EnforceWorkGroupConfiguration": True,
            "EngineConfiguration": {"SparkProperties": {"spark.sql.shuffle.partitions": "5"}},
        },
    )
    own = {"SparkProperties": {"spark.sql.shuffle.partitions": "7", "spark.sql.session.timeZone": "Asia/Tokyo"}}
    sid = athena.session(WorkGroup=group, EngineConfiguration=own)
    code = "print([spark.conf.get('spark.sql.' + k) for k in ('shuffle.partitions', 'session.timeZone')])"
    assert athena.run(sid, code).stdout == b"['5', 'Asia/Tokyo']\n"
    athena.api.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)


def test_what_the_embedded_s3_cannot_keep_is_refused(athena: Athena, group: str) -> None:
    for result, word in (
        ({"ExpectedBucketOwner": "123456789012"}, "000000000000"),
        ({"EncryptionConfiguration": {"EncryptionOption": "CSE_KMS", "KmsKey": "k"}}, "SSE_KMS"),
        ({"EncryptionConfiguration": {"EncryptionOption": "SSE_KMS"}}, "KmsKey"),
    ):
        code, message = refusal(
            athena.api.update_work_group,
            WorkGroup=group,
            ConfigurationUpdates={"ResultConfigurationUpdates": result},
        )
        assert (code, word in message) == ("InvalidRequestException", True), message
    athena.api.update_work_group(
        WorkGroup=group,
        ConfigurationUpdates={"ResultConfigurationUpdates": {"ExpectedBucketOwner": "000000000000"}},
    )
    athena.api.delete_work_group(WorkGroup=group)


def test_the_drivers_log_goes_where_the_workgroup_says(athena: Athena, group: str) -> None:
    wanted = {"S3LoggingConfiguration": {"Enabled": True, "LogLocation": "s3://logs-of-sessions/spark/"}}
    athena.api.update_work_group(WorkGroup=group, ConfigurationUpdates={"MonitoringConfiguration": wanted})
    sid = athena.session(WorkGroup=group)
    assert athena.api.get_session(SessionId=sid)["MonitoringConfiguration"] == wanted
    athena.run(sid, "athena_user_logger.warning('find me')")
    athena.api.terminate_session(SessionId=sid)
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
    assert b"WARNING builtins: find me" in athena.read(f"s3://logs-of-sessions/spark/{sid}/driver.log")
    athena.api.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)
