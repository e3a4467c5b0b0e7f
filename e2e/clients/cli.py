"""The scenario with the aws CLI: python cli.py [--endpoint-url] AWS…, where AWS… is the command to test.

With --endpoint-url the addresses are given by that option, as a CLI needs it that does not know their variables.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import Any

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

BY_OPTION = sys.argv[1] == "--endpoint-url"
AWS = sys.argv[2 if BY_OPTION else 1 :]
GROUP = "of-the-cli"


def main() -> None:
    said = aws("--version").stdout + aws("--version").stderr
    version(said.split()[0].replace("aws-cli/", "awscli "))

    sid = start()
    check(await_session(sid, "CREATING"), "IDLE")
    check(athena("get-session", "--session-id", sid)["EngineVersion"], EXPECT["engine"])
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
    refused(EXPECT["busy"], "start-calculation-execution", "--session-id", sid, "--code-block", CODE["shared"])
    ok("busy")
    athena("stop-calculation-execution", "--calculation-execution-id", endless)
    check(await_calculation(endless, "CREATING RUNNING CANCELING")["Status"]["State"], "CANCELED")
    check(read(run(sid, CODE["kept"])["Result"]["StdOutS3Uri"]), EXPECT["kept"])
    ok("stop")

    first_id = first["CalculationExecutionId"]
    code = athena("get-calculation-execution-code", "--calculation-execution-id", first_id)
    check(code["CodeBlock"], CODE["stdout"])
    ok("code")

    token = ("--client-request-token", str(uuid.uuid4()))
    once, again = (submit(sid, CODE["shared"], *token) for _ in range(2))
    check(again, once)
    await_calculation(once, "CREATING RUNNING")
    refused("", "start-calculation-execution", "--session-id", sid, "--code-block", CODE["kept"], *token)
    second = start(*token)
    check(start(*token), second)
    ok("token")

    check(pages("list-sessions", "Sessions", "SessionId", "--work-group", WORK_GROUP)[:2], [second, sid])
    ran = pages("list-calculation-executions", "Calculations", "CalculationExecutionId", "--session-id", sid)
    check((ran[0], ran[-1], len(ran)), (once, first_id, 6))
    kinds = pages("list-executors", "ExecutorsSummary", "ExecutorType", "--session-id", sid)
    check(sorted(kinds), ["COORDINATOR", "GATEWAY"])
    ok("paging")

    refused("", "get-session-status", "--session-id", UNKNOWN_SESSION)
    ok("unknown")

    for ending in (second, sid):
        athena("terminate-session", "--session-id", ending)
        check(await_session(ending, "TERMINATING"), "TERMINATED")
        athena("terminate-session", "--session-id", ending)
    ok("terminate")

    work_groups()
    change_work_group()


def work_groups() -> None:
    place = "s3://of-the-cli/here"
    made = f"ResultConfiguration={{OutputLocation={place}}},EngineVersion={{SelectedEngineVersion={EXPECT['engine']}}}"
    words = ("--description", "made by the cli", "--tags", "Key=made,Value=true")
    said = aws("athena", "create-work-group", "--name", GROUP, "--configuration", made, *words)
    check((said.returncode, said.stdout, said.stderr), (0, "", ""))
    got = athena("get-work-group", "--work-group", GROUP)["WorkGroup"]
    check((got["Description"], got["State"]), ("made by the cli", "ENABLED"))
    check(got["Configuration"]["ResultConfiguration"]["OutputLocation"], place)
    names = pages("list-work-groups", "WorkGroups", "Name")
    assert {GROUP, WORK_GROUP} <= set(names), names

    sid = start("--work-group", GROUP)
    check(await_session(sid, "CREATING"), "IDLE")
    uri = run(sid, "print(1)")["Result"]["StdOutS3Uri"]
    assert uri.startswith(place + "/"), uri
    check(read(uri), "1\n")
    athena("terminate-session", "--session-id", sid)
    check(await_session(sid, "TERMINATING"), "TERMINATED")
    ok("work_groups")


def change_work_group() -> None:
    of_group = ("--work-group", GROUP)
    athena("update-work-group", *of_group, "--description", "changed by the cli", "--state", "DISABLED")
    got = athena("get-work-group", *of_group)["WorkGroup"]
    check((got["Description"], got["State"]), ("changed by the cli", "DISABLED"))

    arn = f"arn:aws:athena:{os.environ['AWS_REGION']}:000000000000:workgroup/{GROUP}"
    of_arn = ("--resource-arn", arn)
    athena("tag-resource", *of_arn, "--tags", "Key=team,Value=data")
    check(tags(*of_arn), {"made": "true", "team": "data"})
    athena("untag-resource", *of_arn, "--tag-keys", "made")
    check(tags(*of_arn), {"team": "data"})

    engines = [e["SelectedEngineVersion"] for e in athena("list-engine-versions")["EngineVersions"]]
    assert EXPECT["engine"] in engines, engines

    athena("delete-work-group", *of_group, "--recursive-delete-option")
    refused("is not found", "get-work-group", *of_group)
    ok("change_work_group")


def tags(*args: str) -> dict[str, str]:
    return {t["Key"]: t["Value"] for t in athena("list-tags-for-resource", *args)["Tags"]}


def aws(*args: str) -> subprocess.CompletedProcess[str]:
    address = []
    if BY_OPTION and args[0] in ("athena", "s3"):
        address = ["--endpoint-url", os.environ[f"AWS_ENDPOINT_URL_{args[0].upper()}"]]
    return subprocess.run([*AWS, *args, *address], capture_output=True, text=True, timeout=120)


def athena(operation: str, *args: str) -> dict[str, Any]:
    done = aws("athena", operation, *args)
    check((done.returncode, done.stderr), (0, ""))
    return json.loads(done.stdout or "{}")


def refused(words: str, operation: str, *args: str) -> None:
    """See that the CLI fails, and names the class of the error with the words."""
    done = aws("athena", operation, *args)
    assert done.returncode != 0, done
    assert "An error occurred (InvalidRequestException) when calling the" in done.stderr, done
    assert words in done.stderr, done


def start(*args: str) -> str:
    group = () if "--work-group" in args else ("--work-group", WORK_GROUP)
    return athena("start-session", *group, "--engine-configuration", "MaxConcurrentDpus=2", *args)["SessionId"]


def submit(sid: str, code: str, *args: str) -> str:
    started = athena("start-calculation-execution", "--session-id", sid, "--code-block", code, *args)
    return started["CalculationExecutionId"]


def run(sid: str, code: str) -> dict[str, Any]:
    return await_calculation(submit(sid, code), "CREATING RUNNING")


def await_session(sid: str, leave: str) -> str:
    def look() -> str | None:
        state = athena("get-session-status", "--session-id", sid)["Status"]["State"]
        return None if state in leave.split() else state

    return until(look)


def await_calculation(cid: str, leave: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        got = athena("get-calculation-execution", "--calculation-execution-id", cid)
        return None if got["Status"]["State"] in leave.split() else got

    return until(look)


def read(uri: str) -> str:
    done = aws("s3", "cp", "--quiet", uri, "-")
    check((done.returncode, done.stderr), (0, ""))
    return done.stdout


def pages(operation: str, member: str, name: str, *args: str) -> list[str]:
    """List one by one, as a script does."""
    found: list[str] = []
    token: tuple[str, ...] = ()
    while True:
        got = athena(operation, "--max-results", "1", *token, *args)
        assert len(got[member]) <= 1, got
        found += [entry[name] for entry in got[member]]
        if not got.get("NextToken"):
            check(len(set(found)), len(found))
            return found
        token = ("--next-token", got["NextToken"])


main()
