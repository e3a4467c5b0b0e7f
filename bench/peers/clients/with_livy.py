"""Livy's user: REST, asked every ten milliseconds."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from typing import Any

from agent import serve

PAUSE = 0.01


class Livy:
    def __init__(self, url: str) -> None:
        self.url = url
        self.sid = self.statement = -1

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-Requested-By": "bench"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"null")

    def open(self) -> None:
        self.sid = self.rest("POST", "/sessions", {"kind": "pyspark"})["id"]
        while (state := self.rest("GET", f"/sessions/{self.sid}/state")["state"]) != "idle":
            if state in ("dead", "error", "killed", "shutting_down"):
                raise RuntimeError(f"the session is {state}")
            time.sleep(PAUSE)

    def run(self, code: str) -> bytes:
        self.statement = -1
        self.statement = self.rest("POST", f"/sessions/{self.sid}/statements", {"code": code})["id"]
        return self.output()

    def output(self) -> bytes:
        while True:
            got = self.rest("GET", f"/sessions/{self.sid}/statements/{self.statement}")
            if got["state"] in ("available", "error", "cancelled"):
                break
            time.sleep(PAUSE)
        output = got["output"] or {}
        if got["state"] != "available" or output.get("status") != "ok":
            raise RuntimeError(f"{got['state']}: {output.get('evalue')}")
        return output["data"].get("text/plain", "").encode()

    def noop(self) -> None:
        self.run("pass")

    def cancel(self) -> None:
        self.rest("POST", f"/sessions/{self.sid}/statements/{self.statement}/cancel")

    def again(self) -> bytes:
        return self.output()

    def close(self) -> None:
        self.rest("DELETE", f"/sessions/{self.sid}")


serve(Livy(sys.argv[1]))
