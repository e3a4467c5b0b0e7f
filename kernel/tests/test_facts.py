"""%session_id, %status and %list_sessions: what the API says, and what is said without it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from harness import Kernel

FACTS = {"workgroup": "team", "engine_version": "PySpark engine version 3", "notebook": "", "started": 1_700_000_000.5}
STATUS = {"State": "BUSY", "StartDateTime": 1_700_000_100.0}
REFUSED = (400, {"__type": "InvalidRequestException", "Message": "not offered"})
OTHER = {
    "SessionId": "other",
    "Status": {"State": "IDLE", "StartDateTime": 1_700_000_000, "EndDateTime": 1_700_003_600},
}


@contextmanager
def api(answers: dict[str, Any]) -> Iterator[tuple[dict[str, str], list[tuple[str, dict[str, Any]]]]]:
    """The environment in which an API with these answers is found, and the calls it gets."""
    calls: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].removeprefix("AmazonAthena.")
            assert "Credential=KEY/" in self.headers["Authorization"]
            calls.append((operation, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            status, body = answers[operation] if isinstance(answers[operation], tuple) else (200, answers[operation])
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield environment(server.server_port), calls
    finally:
        server.shutdown()
        server.server_close()


def environment(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_ATHENA": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "KEY",
        "AWS_SECRET_ACCESS_KEY": "SECRET",
        "AWS_REGION": "eu-west-1",
    }


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_status_is_what_the_api_says(engine_python: None) -> None:
    answer = {"WorkGroup": "team", "EngineVersion": "Apache Spark version 3.5", "Status": STATUS}
    with api({"GetSession": answer}) as (env, calls), Kernel({"facts": FACTS}, env) as kernel:
        kernel.run(
            "import os\nos.environ['AWS_ENDPOINT_URL_ATHENA'] = 'http://127.0.0.1:1'; os.environ['AWS_ACCESS_KEY_ID'] = 'x'"
        )
        session = kernel.run("%session_id").stdout.strip()
        assert kernel.run("%status").stdout.splitlines() == [
            f"Session ID:     {session}",
            "State:          BUSY",
            "Workgroup:      team",
            "Engine version: Apache Spark version 3.5",
            "Start time:     2023-11-14 22:15:00 UTC",
        ]
        assert calls == [("GetSession", {"SessionId": session})]


def test_without_an_api_what_is_known_is_shown_and_the_rest_said(engine_python: None) -> None:
    with Kernel({"facts": FACTS}, environment(1)) as kernel:
        lines = kernel.run("%status").stdout.splitlines()
        assert lines[1:5] == [
            "State:          BUSY",
            "Workgroup:      team",
            "Engine version: PySpark engine version 3",
            "Start time:     2023-11-14 22:13:20 UTC",
        ]
        assert "cannot be reached" in lines[5]
        listed = kernel.run("%list_sessions").stdout
        assert cells(listed)[1][1:] == ["BUSY", "2023-11-14 22:13:20 UTC", ""]
        assert "Only this session is known." in listed


def test_a_refusal_of_the_api_is_shown(engine_python: None) -> None:
    with api({"GetSession": REFUSED}) as (env, _), Kernel({"facts": FACTS}, env) as kernel:
        assert "not offered" in kernel.run("%status").stdout


def test_sessions_are_those_of_the_workgroup(engine_python: None) -> None:
    with api({"ListSessions": {"Sessions": [OTHER]}}) as (env, calls), Kernel({"facts": FACTS}, env) as kernel:
        rows = cells(kernel.run("%list_sessions").stdout)
        assert rows[1:] == [["other", "IDLE", "2023-11-14 22:13:20 UTC", "2023-11-14 23:13:20 UTC"]]
        assert calls == [("ListSessions", {"WorkGroup": "team"})]


@pytest.mark.parametrize("offered", [True, False])
def test_sessions_of_a_notebook_are_the_notebooks_where_the_api_knows_them(engine_python: None, offered: bool) -> None:
    answers = {
        "ListNotebookSessions": {"NotebookSessionsList": [{"SessionId": "of-notebook"}]} if offered else REFUSED,
        "GetSessionStatus": {"SessionId": "of-notebook", "Status": STATUS},
        "ListSessions": {"Sessions": [OTHER]},
    }
    with api(answers) as (env, _), Kernel({"facts": {**FACTS, "notebook": "n-1"}}, env) as kernel:
        rows = cells(kernel.run("%list_sessions").stdout)
        assert [row[0] for row in rows[1:]] == (["of-notebook"] if offered else ["other"])


@pytest.fixture
def engine_python() -> None:
    """boto3 is the engine's: these tests ask for it."""
    from harness import engine

    engine()
