"""What a test says to the API, in few words."""

from __future__ import annotations

import json
from typing import Any

from harness.server import Server
from harness.waiting import LIMIT, wait_for

ENDED = ("COMPLETED", "FAILED", "CANCELED")


def never_5xx(response_dict: dict[str, Any] | None, **_: Any) -> None:
    """Seen before botocore retries, so that it cannot hide one."""
    if response_dict is not None and response_dict["status_code"] >= 500:
        raise AssertionError(f"the server answers {response_dict['status_code']}: {response_dict['body']!r}")


class Athena:
    """boto3's client as api, the S3 client as s3, and what every test does with them. An answer 5xx is a failure."""

    def __init__(self, server: Server, **config: Any) -> None:
        self.api = server.client("athena", **config)
        self.api.meta.events.register("response-received.athena", never_5xx)
        self.s3 = server.client("s3")

    # Sessions.

    def start(self, **kwargs: Any) -> str:
        kwargs.setdefault("WorkGroup", "primary")
        kwargs.setdefault("EngineConfiguration", {"MaxConcurrentDpus": 2})
        return self.api.start_session(**kwargs)["SessionId"]

    def session(self, **kwargs: Any) -> str:
        """Start a session and wait until it is IDLE."""
        sid = self.start(**kwargs)
        assert self.await_session(sid)["State"] == "IDLE", self.status(sid)
        return sid

    def status(self, sid: str) -> dict[str, Any]:
        return self.api.get_session_status(SessionId=sid)["Status"]

    def await_session(self, sid: str, leave: str = "CREATING", limit: float = LIMIT) -> dict[str, Any]:
        """The session's first status whose state is not one of those in leave."""

        def look() -> dict[str, Any] | None:
            status = self.status(sid)
            return None if status["State"] in leave.split() else status

        return wait_for(f"end of {leave} of session {sid}", look, limit)

    def terminate(self, sid: str) -> dict[str, Any]:
        """Terminate a session and wait for its end; the status then."""
        self.api.terminate_session(SessionId=sid)
        return self.await_session(sid, leave="TERMINATING")

    # Calculations.

    def submit(self, sid: str, code: str, **kwargs: Any) -> str:
        return self.api.start_calculation_execution(SessionId=sid, CodeBlock=code, **kwargs)["CalculationExecutionId"]

    def state(self, cid: str) -> str:
        """The state of a calculation."""
        return self.api.get_calculation_execution(CalculationExecutionId=cid)["Status"]["State"]

    def await_running(self, cid: str) -> None:
        wait_for(f"RUNNING of calculation {cid}", lambda: self.state(cid) == "RUNNING")

    def await_calculation(self, cid: str, limit: float = LIMIT) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            got = self.api.get_calculation_execution(CalculationExecutionId=cid)
            return got if got["Status"]["State"] in ENDED else None

        return wait_for(f"end of calculation {cid}", look, limit)

    def result(self, cid: str, limit: float = LIMIT) -> Result:
        """Wait for the end of a calculation, and read its objects."""
        return Result(self, self.await_calculation(cid, limit))

    def run(self, sid: str, code: str) -> Result:
        return self.result(self.submit(sid, code))

    def read(self, uri: str) -> bytes:
        """The content of an object, by s3://bucket/key."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


class Result:
    """A calculation that has ended, with its objects."""

    def __init__(self, athena: Athena, got: dict[str, Any]) -> None:
        self.raw = got
        self.state: str = got["Status"]["State"]
        self.reason: str | None = got["Status"].get("StateChangeReason")
        self.stdout = athena.read(got["Result"]["StdOutS3Uri"])
        self.stderr = athena.read(got["Result"]["StdErrorS3Uri"])
        self.results = [json.loads(line) for line in athena.read(got["Result"]["ResultS3Uri"]).splitlines()]
