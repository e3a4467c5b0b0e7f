"""The scenario with boto3."""

from __future__ import annotations

import uuid
from typing import Any

import boto3
from scenario import (
    CODE,
    EXPECT,
    UNKNOWN_SESSION,
    WORK_GROUP,
    check,
    ok,
    until,
    version,
)

athena, s3 = boto3.client("athena"), boto3.client("s3")
Invalid = athena.exceptions.InvalidRequestException
GROUP = "of-boto3"


def main() -> None:
    version(f"boto3 {boto3.__version__}")

    sid = start()
    check(await_session(sid, "CREATING"), "IDLE")
    check(athena.get_session(SessionId=sid)["EngineVersion"], EXPECT["engine"])
    ok("session")

    first = run(sid, CODE["stdout"])
    check(first["Status"]["State"], "COMPLETED")
    check(read(first["Result"]["StdOutS3Uri"]), EXPECT["stdout"])
    ok("stdout")
    check(read(run(sid, CODE["shared"])["Result"]["StdOutS3Uri"]), EXPECT["shared"])
    ok("shared")

    failed = run(sid, CODE["failure"])
    check(failed["Status"]["State"], "FAILED")
    check(read(failed["Result"]["StdErrorS3Uri"]).strip(), EXPECT["failure"])
    ok("failure")

    endless = submit(sid, CODE["endless"])
    check(await_calculation(endless, "CREATING")["Status"]["State"], "RUNNING")
    refused(EXPECT["busy"], lambda: submit(sid, CODE["shared"]))
    ok("busy")
    athena.stop_calculation_execution(CalculationExecutionId=endless)
    check(await_calculation(endless, "CREATING RUNNING CANCELING")["Status"]["State"], "CANCELED")
    check(read(run(sid, CODE["kept"])["Result"]["StdOutS3Uri"]), EXPECT["kept"])
    ok("stop")

    code = athena.get_calculation_execution_code(CalculationExecutionId=first["CalculationExecutionId"])
    check(code["CodeBlock"], CODE["stdout"])
    ok("code")

    token = str(uuid.uuid4())
    once, again = (submit(sid, CODE["shared"], ClientRequestToken=token) for _ in range(2))
    check(again, once)
    await_calculation(once, "CREATING RUNNING")
    refused("", lambda: submit(sid, CODE["kept"], ClientRequestToken=token))
    second = start(ClientRequestToken=token)
    check(start(ClientRequestToken=token), second)
    ok("token")

    sessions = pages(athena.list_sessions, "Sessions", "SessionId", WorkGroup=WORK_GROUP)
    check(sessions[:2], [second, sid])
    ran = pages(athena.list_calculation_executions, "Calculations", "CalculationExecutionId", SessionId=sid)
    check((ran[0], ran[-1], len(ran)), (once, first["CalculationExecutionId"], 6))
    kinds = pages(athena.list_executors, "ExecutorsSummary", "ExecutorType", SessionId=sid)
    check(sorted(kinds), ["COORDINATOR", "GATEWAY"])
    ok("paging")

    refused("", lambda: athena.get_session_status(SessionId=UNKNOWN_SESSION))
    ok("unknown")

    for ending in (second, sid):
        athena.terminate_session(SessionId=ending)
        check(await_session(ending, "TERMINATING"), "TERMINATED")
        athena.terminate_session(SessionId=ending)
    ok("terminate")

    work_groups()
    change_work_group()


def work_groups() -> None:
    place = "s3://of-boto3/here"
    engine = {"SelectedEngineVersion": EXPECT["engine"]}
    made = {"ResultConfiguration": {"OutputLocation": place}, "EngineVersion": engine}
    athena.create_work_group(Name=GROUP, Description="made by boto3", Configuration=made, Tags=[tag("made", "true")])
    got = athena.get_work_group(WorkGroup=GROUP)["WorkGroup"]
    check((got["Description"], got["State"]), ("made by boto3", "ENABLED"))
    check(got["Configuration"]["ResultConfiguration"]["OutputLocation"], place)
    names = pages(athena.list_work_groups, "WorkGroups", "Name")
    assert {GROUP, WORK_GROUP} <= set(names), names

    sid = start(WorkGroup=GROUP)
    check(await_session(sid, "CREATING"), "IDLE")
    uri = run(sid, "print(1)")["Result"]["StdOutS3Uri"]
    assert uri.startswith(place + "/"), uri
    check(read(uri), "1\n")
    athena.terminate_session(SessionId=sid)
    check(await_session(sid, "TERMINATING"), "TERMINATED")
    ok("work_groups")


def change_work_group() -> None:
    athena.update_work_group(WorkGroup=GROUP, Description="changed by boto3", State="DISABLED")
    got = athena.get_work_group(WorkGroup=GROUP)["WorkGroup"]
    check((got["Description"], got["State"]), ("changed by boto3", "DISABLED"))

    arn = f"arn:aws:athena:{athena.meta.region_name}:000000000000:workgroup/{GROUP}"
    athena.tag_resource(ResourceARN=arn, Tags=[tag("team", "data")])
    check(tags(arn), {"made": "true", "team": "data"})
    athena.untag_resource(ResourceARN=arn, TagKeys=["made"])
    check(tags(arn), {"team": "data"})

    engines = [e["SelectedEngineVersion"] for e in athena.list_engine_versions()["EngineVersions"]]
    assert EXPECT["engine"] in engines, engines

    athena.delete_work_group(WorkGroup=GROUP, RecursiveDeleteOption=True)
    refused("is not found", lambda: athena.get_work_group(WorkGroup=GROUP))
    ok("change_work_group")


def tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


def tags(arn: str) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in athena.list_tags_for_resource(ResourceARN=arn)["Tags"]}


def start(**kwargs: Any) -> str:
    kwargs = {"WorkGroup": WORK_GROUP, "EngineConfiguration": {"MaxConcurrentDpus": 2}} | kwargs
    return athena.start_session(**kwargs)["SessionId"]


def submit(sid: str, code: str, **kwargs: Any) -> str:
    return athena.start_calculation_execution(SessionId=sid, CodeBlock=code, **kwargs)["CalculationExecutionId"]


def run(sid: str, code: str) -> dict[str, Any]:
    return await_calculation(submit(sid, code), "CREATING RUNNING")


def await_session(sid: str, leave: str) -> str:
    def look() -> str | None:
        state = athena.get_session_status(SessionId=sid)["Status"]["State"]
        return None if state in leave.split() else state

    return until(look)


def await_calculation(cid: str, leave: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        got = athena.get_calculation_execution(CalculationExecutionId=cid)
        return None if got["Status"]["State"] in leave.split() else got

    return until(look)


def read(uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def refused(words: str, call: Any) -> None:
    """See that the call raises boto3's own class of the error, with the words in it."""
    try:
        got = call()
    except Invalid as e:
        message = e.response["Error"]["Message"]
    else:
        raise AssertionError(f"it was not refused but answered: {got}")
    assert words in message, message


def pages(operation: Any, member: str, name: str, **kwargs: Any) -> list[str]:
    """List one by one, as a client without a paginator does."""
    found: list[str] = []
    while True:
        got = operation(MaxResults=1, **kwargs)
        assert len(got[member]) <= 1, got
        found += [entry[name] for entry in got[member]]
        if not got.get("NextToken"):
            check(len(set(found)), len(found))
            return found
        kwargs["NextToken"] = got["NextToken"]


main()
