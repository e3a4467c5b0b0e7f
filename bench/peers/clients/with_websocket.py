"""The user of Jupyter Server and of Enterprise Gateway: REST for kernels, and a websocket that is pushed to."""

from __future__ import annotations

import json
import sys
import urllib.request
import uuid
from typing import Any

import websocket
from agent import serve

START = "from pyspark.sql import SparkSession; spark = SparkSession.builder.getOrCreate(); sc = spark.sparkContext"


class Kernel:
    def __init__(self, url: str, token: str, user: str = "") -> None:
        self.env = {"KERNEL_USERNAME": user} if user else {}
        self.url, self.headers = url, {"Authorization": f"token {token}", "Content-Type": "application/json"}
        self.id = self.last = ""

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"null")

    def open(self) -> None:
        self.id = self.rest("POST", "/api/kernels", {"name": "python3", "env": self.env})["id"]
        self.connect()
        self.run(START)

    def connect(self) -> None:
        address = self.url.replace("http", "ws", 1) + f"/api/kernels/{self.id}/channels?session_id={uuid.uuid4()}"
        header = [f"Authorization: {self.headers['Authorization']}"]
        self.socket = websocket.create_connection(address, header=header, timeout=300)

    def run(self, code: str) -> bytes:
        self.last = uuid.uuid4().hex
        header = {"msg_id": self.last, "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self.socket.send(json.dumps(message | {"buffers": []}))
        return self.output()

    def output(self) -> bytes:
        """What the last request prints, to its reply and the kernel's word that it is idle."""
        out: list[str] = []
        reply, idle = None, False
        while reply is None or not idle:
            got = json.loads(self.socket.recv())
            if got.get("parent_header", {}).get("msg_id") != self.last:
                continue
            kind, content = got["header"]["msg_type"], got["content"]
            if kind == "stream" and content["name"] == "stdout":
                out.append(content["text"])
            elif kind == "execute_reply":
                reply = content
            elif kind == "status" and content["execution_state"] == "idle":
                idle = True
        if reply["status"] != "ok":
            raise RuntimeError(f"{reply.get('ename')}: {reply.get('evalue')}")
        return "".join(out).encode()

    def noop(self) -> None:
        self.run("pass")

    def cancel(self) -> None:
        self.rest("POST", f"/api/kernels/{self.id}/interrupt")

    def again(self) -> bytes:
        self.rest("GET", f"/api/kernels/{self.id}")
        self.connect()
        self.socket.settimeout(20)
        return self.output()

    def close(self) -> None:
        self.socket.close()
        self.rest("DELETE", f"/api/kernels/{self.id}")


serve(Kernel(*sys.argv[1:]))
