"""Bad input: AWS's error class and words, never a 5xx."""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from harness import ROOT, Athena, Server, wait_for
from harness.wire import Wire

OFFERED = {
    *("StartSession", "GetSession", "GetSessionStatus", "ListSessions", "TerminateSession"),
    *("StartCalculationExecution", "GetCalculationExecution", "GetCalculationExecutionStatus"),
    *("GetCalculationExecutionCode", "ListCalculationExecutions", "StopCalculationExecution"),
    *("ListExecutors", "CreateWorkGroup", "GetWorkGroup", "ListWorkGroups", "UpdateWorkGroup", "DeleteWorkGroup"),
    *("ListEngineVersions", "ListApplicationDPUSizes", "TagResource", "UntagResource", "ListTagsForResource"),
}

# dbt-athena drops its session when it finds one of these in an error of a start.
STATE_WORDS = re.compile("TERMINATED|TERMINATING|DEGRADED|FAILED")

NO_SUCH_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def server_without_faults(shared_server: Server) -> Iterator[None]:
    """Nothing that a client sends is a fault of the server."""
    before = len(shared_server.log.read_text())
    yield
    new = shared_server.log.read_text()[before:].splitlines()
    assert not [line for line in new if re.search(r"level=ERROR| status=5", line)]


@pytest.fixture(scope="module")
def loose(shared_server: Server) -> Athena:
    """A client that checks nothing itself and tries once."""
    return Athena(shared_server, parameter_validation=False, retries={"total_max_attempts": 1})


def refusal(call: Callable[..., Any], **kwargs: Any) -> str:
    """The sentence with which a call is refused as invalid."""
    with pytest.raises(ClientError) as refused:
        call(**kwargs)
    response = refused.value.response
    assert response["Error"]["Code"] == "InvalidRequestException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["AthenaErrorCode"] == "INVALID_INPUT"
    return response["Error"]["Message"]


class Ended(NamedTuple):
    """A session that was terminated, its keys, and a calculation of it."""

    id: str
    key: tuple[str, str]
    calculation: str


@pytest.fixture(scope="module")
def ended(athena: Athena, shared_server: Server) -> Ended:
    sid = athena.session()
    got = athena.run(sid, "import os\nfor k in 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY': print(os.environ[k])")
    key, secret = got.stdout.decode().split()
    inside = client("athena", shared_server, key, secret)
    assert inside.get_session_status(SessionId=sid)["Status"]["State"] == "IDLE"  # while it lives it has a key
    assert client("s3", shared_server, key, secret).list_objects_v2(Bucket="ergane-results")["KeyCount"] > 0
    assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
    return Ended(sid, (key, secret), got.raw["CalculationExecutionId"])


def client(service: str, server: Server, key: str, secret: str, **kwargs: Any) -> Any:
    endpoint = server.env[f"AWS_ENDPOINT_URL_{service.upper()}"]
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        **kwargs,
    )


# Bodies that are not JSON, or not the JSON that is wanted.


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", None),
        (b"null", None),
        (b'"WorkGroup"', None),
        (b"1", None),
        (b"{", None),
        (b"{'WorkGroup':'primary'}", None),
        (b'{"WorkGroup":"primary"}{}', None),
        (b'{"WorkGroup":"\xff"}', None),
        (b'{"WorkGroup":"\\ud800"}', None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b"[]", "Start of list found where not expected"),
        (b'{"WorkGroup":1}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"WorkGroup":true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"WorkGroup":["primary"]}', "Start of list found where not expected"),
        (b'{"WorkGroup":{}}', "Start of structure or map found where not expected."),
        (b'{"EngineConfiguration":"x"}', "Expected null"),
        (b'{"EngineConfiguration":{"MaxConcurrentDpus":"2"}}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"EngineConfiguration":{"SparkProperties":{"a":1}}}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"Tags":"x"}', "Expected list or null"),
    ],
    ids=lambda v: v[:30].decode("latin-1") if isinstance(v, bytes) else "",
)
def test_a_body_of_the_wrong_form(wire: Wire, body: bytes, message: str | None) -> None:
    got = wire.send("StartSession", body)
    assert (got.status, got.headers["content-type"]) == (400, "application/x-amz-json-1.1")
    uuid.UUID(got.headers["x-amzn-requestid"])
    assert got.error == {"__type": "SerializationException"} | ({"Message": message} if message else {})


def test_an_error_is_enveloped_as_on_athena(wire: Wire) -> None:
    got = wire.send("GetWorkGroup", {"WorkGroup": "nobody"})
    assert got.status == 400
    assert got.error == {
        "__type": "InvalidRequestException",
        "AthenaErrorCode": "INVALID_INPUT",
        "ErrorCode": "INVALID_INPUT",
        "Message": "WorkGroup is not found.",
    }


DETECTED = "1 validation error detected: Value at '{}' failed to satisfy constraint: Member must {}"
SMALL = {"WorkGroup": "primary", "EngineConfiguration": {}}


@pytest.mark.parametrize(
    ("operation", "given", "path", "constraint"),
    [
        ("get_calculation_execution", {"CalculationExecutionId": "x" * 37}, "calculationExecutionId", "length <= 36"),
        ("list_sessions", {"WorkGroup": "primary", "MaxResults": 101}, "maxResults", "value <= 100"),
        ("list_sessions", {"WorkGroup": "primary", "MaxResults": 0}, "maxResults", "value >= 1"),
        (
            *("list_sessions", {"WorkGroup": "primary", "StateFilter": "SLEEPY"}, "stateFilter"),
            "satisfy enum value set: [CREATING, CREATED, IDLE, BUSY, TERMINATING, TERMINATED, DEGRADED, FAILED]",
        ),
        (
            *("start_session", SMALL | {"EngineConfiguration": {"MaxConcurrentDpus": 1}}),
            *("engineConfiguration.maxConcurrentDpus", "value >= 2"),
        ),
        (
            *("start_session", SMALL | {"EngineConfiguration": {"CoordinatorDpuSize": 2}}),
            *("engineConfiguration.coordinatorDpuSize", "value <= 1"),
        ),
        (
            *("start_session", SMALL | {"SessionIdleTimeoutInMinutes": 481}),
            *("sessionIdleTimeoutInMinutes", "value <= 480"),
        ),
        ("start_session", SMALL | {"ClientRequestToken": "short"}, "clientRequestToken", "length >= 32"),
        ("create_work_group", {"Name": "a b"}, "name", "satisfy regular expression pattern: [a-zA-Z0-9._-]{1,128}"),
    ],
)
def test_constraints_of_the_model(
    loose: Athena, operation: str, given: dict[str, Any], path: str, constraint: str
) -> None:
    words = constraint.replace("<=", "less than or equal to").replace(">=", "greater than or equal to")
    if words.startswith(("length", "value")):
        words = f"have {words}"
    assert refusal(getattr(loose.api, operation), **given) == DETECTED.format(path, words)


def test_a_member_that_is_missing_or_null(loose: Athena) -> None:
    words = DETECTED.replace("Value", "Value null").format("sessionId", "not be null")
    for given in ({}, {"SessionId": None}):
        assert refusal(loose.api.get_session, **given) == words


def test_every_broken_constraint_is_told(loose: Athena) -> None:
    got = refusal(loose.api.start_session)
    assert got.startswith("2 validation errors detected: ")
    assert "'workGroup'" in got
    assert "'engineConfiguration'" in got


# Names and ids that nobody has.


def test_unknown_workgroup(loose: Athena) -> None:
    for call in (
        lambda **kw: loose.api.get_work_group(**kw),
        lambda **kw: loose.api.list_sessions(**kw),
        lambda **kw: loose.api.start_session(EngineConfiguration={}, **kw),
    ):
        assert refusal(call, WorkGroup="nobody") == "WorkGroup is not found."


@pytest.mark.parametrize("sid", [NO_SUCH_ID, NO_SUCH_ID[:-1], "../../../etc/passwd", "x' OR '1'='1", "ü" * 256])
def test_unknown_session(loose: Athena, sid: str) -> None:
    for operation, more in {
        "get_session": {},
        "get_session_status": {},
        "terminate_session": {},
        "list_calculation_executions": {},
        "list_executors": {},
        "start_calculation_execution": {"CodeBlock": "1"},
    }.items():
        got = refusal(getattr(loose.api, operation), SessionId=sid, **more)
        assert got == f"Session {sid} was not found"


@pytest.mark.parametrize("cid", [NO_SUCH_ID, "../../session.log"])
def test_unknown_calculation(loose: Athena, cid: str) -> None:
    for operation in (
        "get_calculation_execution",
        "get_calculation_execution_status",
        "get_calculation_execution_code",
        "stop_calculation_execution",
    ):
        assert refusal(getattr(loose.api, operation), CalculationExecutionId=cid) == f"Calculation {cid} was not found"


@pytest.mark.parametrize("token", ["x", "A" * 2000, "ü"])
def test_a_page_token_that_nobody_gave(loose: Athena, session: str, token: str) -> None:
    for operation, given in {
        "list_sessions": {"WorkGroup": "primary"},
        "list_calculation_executions": {"SessionId": session},
        "list_executors": {"SessionId": session},
    }.items():
        got = refusal(getattr(loose.api, operation), NextToken=token, **given)
        assert got.startswith(f"The nextPageToken is malformed: {token[:50]}")


def test_a_page_token_of_another_list(athena: Athena, session: str) -> None:
    for _ in range(2):
        athena.run(session, "pass")
    token = athena.api.list_calculation_executions(SessionId=session, MaxResults=1)["NextToken"]
    got = refusal(athena.api.list_calculation_executions, SessionId=session, StateFilter="COMPLETED", NextToken=token)
    assert got.startswith("The nextPageToken is malformed: ")


# Wrong states.


def test_a_busy_session_refuses_with_the_sentence_that_clients_match(
    athena: Athena, session: str, common: Path
) -> None:
    go = common / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"
    running = athena.submit(session, code)
    try:
        got = refusal(athena.api.start_calculation_execution, SessionId=session, CodeBlock="1")
        assert got == "Session is in the BUSY state; needs to be IDLE to accept Calculations."
    finally:
        go.touch()
    assert athena.await_calculation(running)["Status"]["State"] == "COMPLETED"


def test_a_terminated_session_refuses_and_answers_reads(athena: Athena, ended: Ended) -> None:
    got = refusal(athena.api.start_calculation_execution, SessionId=ended.id, CodeBlock="1")
    assert got == "Session is in the TERMINATED state; needs to be IDLE to accept Calculations."
    assert athena.api.get_session(SessionId=ended.id)["Status"]["State"] == "TERMINATED"
    assert athena.api.get_calculation_execution(CalculationExecutionId=ended.calculation)["Result"]
    code = athena.api.get_calculation_execution_code(CalculationExecutionId=ended.calculation)
    assert code["CodeBlock"].startswith("import os")
    executors = athena.api.list_executors(SessionId=ended.id)["ExecutorsSummary"]
    assert {e["ExecutorState"] for e in executors} == {"TERMINATED"}
    assert all(e["TerminationDateTime"] >= e["StartDateTime"] for e in executors)
    assert athena.api.stop_calculation_execution(CalculationExecutionId=ended.calculation)["State"] == "COMPLETED"


def test_a_session_that_is_starting_or_being_ended_refuses(athena: Athena) -> None:
    sid = athena.api.start_session(WorkGroup="primary", EngineConfiguration={})["SessionId"]
    got = refusal(athena.api.start_calculation_execution, SessionId=sid, CodeBlock="1")
    assert got == "Session is in the CREATING state; needs to be IDLE to accept Calculations."
    assert athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
    got = refusal(athena.api.start_calculation_execution, SessionId=sid, CodeBlock="1")
    assert re.fullmatch(
        r"Session is in the TERMINAT(ING|ED) state; needs to be IDLE to accept Calculations\.",
        got,
    )
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"


# The size of a block.


@pytest.mark.parametrize("letter", ["x", "ü", "😀"])
def test_a_block_of_68000_characters_runs_and_one_more_is_refused(athena: Athena, session: str, letter: str) -> None:
    frame = "print(len('{}'))"
    room = 68_000 - len(frame.format(""))
    got = athena.run(session, frame.format(letter * room))
    assert got.stdout == f"{room}\n".encode()
    longer = frame.format(letter * (room + 1))
    said = refusal(athena.api.start_calculation_execution, SessionId=session, CodeBlock=longer)
    assert said == DETECTED.format("codeBlock", "have length less than or equal to 68000")
    said = refusal(
        athena.api.start_calculation_execution, SessionId=session, CalculationConfiguration={"CodeBlock": longer}
    )
    assert said.endswith("failed to satisfy constraint: Member must have length less than or equal to 68000")


def test_a_body_of_10_megabytes_is_refused_at_once_and_whole(wire: Wire, loose: Athena, session: str) -> None:
    got = wire.send("StartCalculationExecution", {"SessionId": session, "CodeBlock": "x" * 10_000_000})
    assert (got.status, got.error["__type"]) == (413, "RequestEntityTooLargeException")
    with pytest.raises(ClientError) as refused:  # an SDK sees the answer, not a broken connection
        loose.submit(session, "x" * 10_000_000)
    assert refused.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    got = wire.send("StartCalculationExecution", {}, instead=iter([b"x" * 1_000_000] * 10))  # without a Content-Length
    assert (got.status, got.error["__type"]) == (413, "RequestEntityTooLargeException")
    assert loose.api.list_work_groups()["WorkGroups"]


def test_a_client_that_hangs_up_in_the_middle(wire: Wire, loose: Athena) -> None:
    host, _, port = wire.endpoint.removeprefix("http://").partition(":")
    for sent in (b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"\x16\x03\x01\0\0"):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(sent)
    assert loose.api.list_work_groups()["WorkGroups"]


def test_code_comes_in_either_of_two_ways_but_not_in_both_or_none(athena: Athena, session: str) -> None:
    start = athena.api.start_calculation_execution
    got = start(SessionId=session, CalculationConfiguration={"CodeBlock": "print('nested')"})
    done = athena.await_calculation(got["CalculationExecutionId"])
    assert athena.read(done["Result"]["StdOutS3Uri"]) == b"nested\n"
    both = refusal(start, SessionId=session, CodeBlock="1", CalculationConfiguration={"CodeBlock": "1"})
    assert "CodeBlock" in both
    assert "both" in both
    for given in ({}, {"CalculationConfiguration": {}}):
        assert refusal(start, SessionId=session, **given) == "CodeBlock is required."
    assert not STATE_WORDS.search(both)


# Operations that are not offered, and those that do not exist.


def test_operations_that_are_not_offered_say_so(loose: Athena) -> None:
    modelled = set(json.loads((ROOT / "internal/athena/model-2017-05-18.json").read_text())["operations"])
    assert modelled > OFFERED
    for operation in loose.api.meta.service_model.operation_names:
        if operation in OFFERED:
            continue
        call = getattr(loose.api, xform_name(operation))
        if operation in modelled:
            got = refusal(call)
            assert got.startswith(f"{operation} is not offered by Ergane")
            assert not STATE_WORDS.search(got)
        else:  # an SDK newer than the model
            with pytest.raises(ClientError, match="UnknownOperationException"):
                call()


@pytest.mark.parametrize(
    "target", ["AmazonAthena.Nothing", "AmazonS3.ListSessions", "ListSessions", "", "AmazonAthena."]
)
def test_an_unknown_target(wire: Wire, target: str) -> None:
    got = wire.send("", {}, target=target)
    assert (got.status, got.error) == (400, {"__type": "UnknownOperationException"})


def test_no_target(wire: Wire) -> None:
    got = wire.send("", {}, headers={"X-Amz-Target": None})
    assert (got.status, got.error) == (400, {"__type": "UnknownOperationException"})


@pytest.mark.parametrize("content_type", [None, "application/x-amz-json-1.0", "application/json", "text/html; x", "/"])
def test_a_wrong_content_type(wire: Wire, content_type: str | None) -> None:
    got = wire.send("ListWorkGroups", {}, headers={"Content-Type": content_type})
    assert got.status == 404
    assert got.body.strip() == b"<UnknownOperationException/>"


# Who may ask.


def rejected(wire: Wire, **kwargs: Any) -> tuple[str, str]:
    got = wire.send("ListWorkGroups", {}, **kwargs)
    assert got.status == 400  # as of Athena and every other AWS JSON service, not 403
    return got.error["__type"], got.error["Message"]


def test_an_unsigned_request(wire: Wire) -> None:
    kind, said = rejected(wire, sign=False)
    assert (kind, said) == ("MissingAuthenticationTokenException", "Request is missing Authentication Token")


def test_a_wrong_secret_and_an_unknown_key(wire: Wire) -> None:
    kind, said = rejected(replace(wire, secret="x" * 40))
    assert kind == "InvalidSignatureException"
    assert said.startswith("The request signature we calculated does not match the signature you provided.")
    for key in ("AKIAIOSFODNN7EXAMPLE", "ERGS", "ERGS" + "A" * 26):
        assert rejected(replace(wire, key=key)) == (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )


def test_a_clock_that_is_off(wire: Wire) -> None:
    for minutes, words in ((-6, "Signature expired: "), (6, "Signature not yet current: ")):
        kind, said = rejected(replace(wire, clock=timedelta(minutes=minutes)))
        assert kind == "InvalidSignatureException"
        assert said.startswith(words)
    for minutes in (-4, 4):
        assert replace(wire, clock=timedelta(minutes=minutes)).send("ListWorkGroups", {}).status == 200


def test_a_request_that_was_changed_on_its_way(wire: Wire) -> None:
    kind, _ = rejected(wire, instead=b'{"MaxResults":1}')
    assert kind == "InvalidSignatureException"
    kind, _ = rejected(wire, unsigned={"X-Amz-Target": "AmazonAthena.ListSessions"})
    assert kind == "InvalidSignatureException"
    kind, said = rejected(wire, unsigned={"X-Amz-Security-Token": "added"})
    assert kind == "InvalidSignatureException"
    assert "must be a 'SignedHeader'" in said


def test_a_signature_for_another_service_or_region(wire: Wire) -> None:
    kind, said = rejected(replace(wire, service="s3"))
    assert (kind, said) == ("InvalidSignatureException", "Credential should be scoped to correct service: 'athena'.")
    assert replace(wire, region="eu-north-1").send("ListWorkGroups", {}).status == 200  # any region will do


def test_a_signed_session_token_is_one_more_header(shared_server: Server) -> None:
    env = shared_server.env
    key, secret = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    assert client("athena", shared_server, key, secret, aws_session_token="t" * 300).list_work_groups()["WorkGroups"]


def test_a_sessions_key_ends_with_it(shared_server: Server, ended: Ended) -> None:
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client("athena", shared_server, *ended.key).list_work_groups()
    # S3 asks the session's folder, which goes a moment after the state.
    s3 = client("s3", shared_server, *ended.key)

    def look() -> str | None:
        try:
            s3.list_objects_v2(Bucket="ergane-results")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    assert wait_for("refusal of the key by S3", look) == "InvalidAccessKeyId"


def test_live_output_is_signed_like_the_rest(wire: Wire, ended: Ended) -> None:
    path = f"/calculations/{ended.calculation}/output?stream=stdout&from=0"
    got = wire.send("", b"", method="GET", path=path, sign=False)
    assert (got.status, got.error["__type"]) == (400, "MissingAuthenticationTokenException")
    assert wire.send("", b"", method="GET").status == 404  # the root is no page


def test_many_bad_requests_at_once_leave_the_server_well(wire: Wire, loose: Athena, session: str) -> None:
    bodies = [b"{", b"[]", b'{"SessionId":1}', b'{"SessionId":"' + b"x" * 5_000_000, b"\xff" * 1000] * 8
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: wire.send("GetSession", body).status, bodies))
    assert set(answers) == {400, 413}
    assert loose.status(session)["State"] == "IDLE"
