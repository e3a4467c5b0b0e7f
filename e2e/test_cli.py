"""The aws CLI, pointed at the server by nothing but `eval "$(ergane env)"`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import ERGANE, Server, clean_env, wait_for

AWS = Path(sys.executable).parent / "aws"
CODE = """
squares = spark.range(5).selectExpr("id * id as square")
squares.show()
print("ünïcode", 'and "quotes"')
"""

Aws = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def aws(shared_server: Server, tmp_path: Path) -> Aws:
    """Runs the CLI as a user's shell does, even one that was set up for another account."""
    env = clean_env(tmp_path) | {
        "ERGANE_DATA_DIR": str(shared_server.data_dir),
        "PATH": f"{ERGANE.parent}:{AWS.parent}:/usr/bin:/bin",
        "AWS_PROFILE": "of-another-account",
        "AWS_SESSION_TOKEN": "of-another-account",
        "AWS_PAGER": "",
    }

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        script = f'eval "$({ERGANE.name} env)" && exec aws "$@"'
        return subprocess.run(
            ["sh", "-c", script, "sh", *args], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120
        )

    return run


def test_a_calculation_from_start_to_end(aws: Aws, tmp_path: Path) -> None:
    def athena(operation: str, *args: str) -> dict[str, Any]:
        done = aws("athena", operation, *args)
        assert (done.returncode, done.stderr) == (0, ""), done
        return json.loads(done.stdout)

    def state(operation: str, *args: str, leave: set[str]) -> str | None:
        got = athena(operation, *args)["Status"]["State"]
        return None if got in leave else got

    size = ("--engine-configuration", "MaxConcurrentDpus=2")
    sid = athena("start-session", "--work-group", "primary", *size)["SessionId"]
    of_session = ("--session-id", sid)
    ready = wait_for("session", lambda: state("get-session-status", *of_session, leave={"CREATING"}))
    assert ready == "IDLE"
    assert athena("get-session", *of_session)["EngineVersion"] == "PySpark engine version 3"
    assert sid in [s["SessionId"] for s in athena("list-sessions", "--work-group", "primary")["Sessions"]]

    (tmp_path / "code.py").write_text(CODE)
    started = athena("start-calculation-execution", *of_session, "--code-block", "file://code.py")
    cid = started["CalculationExecutionId"]
    of_calculation = ("--calculation-execution-id", cid)
    running = {"CREATING", "RUNNING"}
    get = "get-calculation-execution-status"
    assert wait_for("calculation", lambda: state(get, *of_calculation, leave=running)) == "COMPLETED"
    got = athena("get-calculation-execution", *of_calculation)
    assert got["Statistics"]["Progress"] == "100%"
    assert athena("get-calculation-execution-code", *of_calculation)["CodeBlock"] == CODE
    assert athena("list-calculation-executions", *of_session)["Calculations"][0]["CalculationExecutionId"] == cid
    kinds = {e["ExecutorType"] for e in athena("list-executors", *of_session)["ExecutorsSummary"]}
    assert kinds == {"COORDINATOR", "GATEWAY"}

    copied = aws("s3", "cp", "--quiet", got["Result"]["StdOutS3Uri"], "out.txt")
    assert (copied.returncode, copied.stderr) == (0, "")
    text = (tmp_path / "out.txt").read_text()
    assert text.endswith('ünïcode and "quotes"\n')
    assert "|    16|" in text

    # The deprecated spelling is the one that takes JSON from a file.
    (tmp_path / "code.json").write_text(json.dumps({"CodeBlock": "print(squares.count())"}))
    nested = ("--calculation-configuration", "file://code.json")
    second = athena("start-calculation-execution", *of_session, *nested)["CalculationExecutionId"]
    of_second = ("--calculation-execution-id", second)
    assert wait_for("calculation", lambda: state(get, *of_second, leave=running)) == "COMPLETED"
    place = athena("get-calculation-execution", *of_second)["Result"]["StdOutS3Uri"]
    assert aws("s3", "cp", "--quiet", place, "-").stdout == "5\n"
    assert {"stderr", "stdout", "results"} == {
        line.split()[-1] for line in aws("s3", "ls", place.removesuffix("stdout")).stdout.splitlines()
    }

    assert athena("stop-calculation-execution", *of_second)["State"] == "COMPLETED"
    assert athena("terminate-session", *of_session)["State"] == "TERMINATING"
    ended = wait_for("end", lambda: state("get-session-status", *of_session, leave={"TERMINATING"}))
    assert ended == "TERMINATED"


def test_a_refusal_is_told_with_its_class_and_words(aws: Aws) -> None:
    done = aws("athena", "get-work-group", "--work-group", "nobody")
    assert done.returncode != 0
    assert "(InvalidRequestException) when calling the GetWorkGroup operation: WorkGroup is not found." in done.stderr
