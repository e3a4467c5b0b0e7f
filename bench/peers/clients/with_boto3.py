"""Ergane's user: boto3 as it is installed, in a loop without pause, pointed at the server by `ergane env`."""

from __future__ import annotations

import time
from typing import Any

import boto3
from agent import serve

DONE = ("COMPLETED", "FAILED", "CANCELED")


class Boto3:
    def __init__(self) -> None:
        self.athena, self.s3 = boto3.client("athena"), boto3.client("s3")
        self.sid = self.cid = ""

    def open(self) -> None:
        engine = {"MaxConcurrentDpus": 2}
        self.sid = self.athena.start_session(WorkGroup="primary", EngineConfiguration=engine)["SessionId"]
        while (status := self.athena.get_session_status(SessionId=self.sid)["Status"])["State"] != "IDLE":
            if status["State"] not in ("CREATING", "CREATED"):
                raise RuntimeError(f"the session is {status}")

    def run(self, code: str) -> bytes:
        self.submit(code)
        return self.output()

    def submit(self, code: str) -> None:
        self.cid = ""
        answer = self.athena.start_calculation_execution(SessionId=self.sid, CodeBlock=code)
        self.cid = answer["CalculationExecutionId"]

    def output(self) -> bytes:
        while (got := self.athena.get_calculation_execution(CalculationExecutionId=self.cid))["Status"][
            "State"
        ] not in DONE:
            pass
        if got["Status"]["State"] != "COMPLETED":
            raise RuntimeError(str(got["Status"]))
        bucket, _, key = got["Result"]["StdOutS3Uri"].removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def noop(self) -> None:
        self.submit("pass")
        while (s := self.athena.get_calculation_execution_status(CalculationExecutionId=self.cid)["Status"])[
            "State"
        ] not in DONE:
            pass
        assert s["State"] == "COMPLETED", s

    def cancel(self) -> None:
        self.athena.stop_calculation_execution(CalculationExecutionId=self.cid)

    def again(self) -> bytes:
        return self.output()

    def close(self) -> None:
        self.athena.terminate_session(SessionId=self.sid)
        while self.athena.get_session_status(SessionId=self.sid)["Status"]["State"] not in ("TERMINATED", "FAILED"):
            pass

    def dashboard(self, sid: str, seconds: float, per_second: float) -> dict[str, Any]:
        """Read the status of an older session so many times a second, and tell how long each read took."""
        times: list[float] = []
        begun = time.perf_counter()
        while (now := time.perf_counter()) < begun + seconds:
            due = begun + len(times) / per_second
            if due > now:
                time.sleep(due - now)
            at = time.perf_counter()
            self.athena.get_session_status(SessionId=sid)
            times.append(time.perf_counter() - at)
        return {"times": times, "rate": len(times) / (time.perf_counter() - begun)}

    def session_id(self) -> dict[str, Any]:
        return {"sid": self.sid}


if __name__ == "__main__":
    serve(Boto3())
