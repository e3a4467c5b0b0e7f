"""Ours: without kernels that wait, and as it is by default."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from functools import cache
from pathlib import Path

import boto3
from peer import ROOT, Peer, await_true, free_port, install

ERGANE = ROOT / ".build" / "ergane"
POOL_LIMIT = 120


class Ergane(Peer):
    """`ergane serve` as it is, with its pool of warm kernels."""

    name = "ergane"
    title = "Ergane"
    about = "`--max-memory 64g`; boto3 polling without pause; sessions start when the pool is full"
    recovers = True
    client_script = "with_boto3.py"
    pool: tuple[str, ...] = ()

    def fresh(self) -> None:
        super().fresh()
        self.s3_port = free_port()

    def command(self) -> list[str]:
        ports = ["--listen", f"127.0.0.1:{self.port}", "--s3-listen", f"127.0.0.1:{self.s3_port}"]
        # By default it refuses sessions that the machine may have no memory for; the others refuse none.
        bound = ["--max-memory", "64g"]
        return [str(ERGANE), "serve", *ports, "--data-dir", str(self.scratch / "data"), *bound, *self.pool]

    def start(self) -> None:
        (self.scratch / "server.log").unlink(missing_ok=True)  # is_ready looks for this start's word
        super().start()

    def is_ready(self) -> bool:
        return "ergane is ready: " in (self.scratch / "server.log").read_text()

    def settle(self) -> None:
        if not has_pool() or self.pool:
            return

        await_true("full pool", POOL_LIMIT, lambda: self.pooled()[0] >= 1 and self.pooled()[1] == 0)

    def pooled(self) -> tuple[int, int]:
        """How many kernels wait for a session, and how many are being started ahead of one."""
        if not has_pool():
            return 0, 0
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        count = dict(re.findall(r'^ergane_pool_kernels\{state="(\w+)"\} (\d+)', text, re.MULTILINE))
        return int(count["waiting"]), int(count["warming"])

    def stop(self) -> None:
        """End every session and what waits for one: both would outlive the server."""
        if self.process is None:
            return
        super().stop()
        pool, self.pool = self.pool, ("--pool", "0")
        self.start()
        self.pool = pool
        self.end_sessions()
        await_true("end of the pool", POOL_LIMIT, lambda: self.pooled() == (0, 0))
        super().stop()

    def end_sessions(self) -> None:
        env = self.client_env()
        athena = boto3.client(
            "athena",
            endpoint_url=env["AWS_ENDPOINT_URL_ATHENA"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            region_name=env["AWS_REGION"],
        )
        for session in athena.list_sessions(WorkGroup="primary")["Sessions"]:
            sid = session["SessionId"]
            athena.terminate_session(SessionId=sid)

            def ended(sid: str = sid) -> bool:
                return athena.get_session_status(SessionId=sid)["Status"]["State"] in ("TERMINATED", "FAILED")

            await_true("end of a session", POOL_LIMIT, ended)

    def more_env(self) -> dict[str, str]:
        return {"ERGANE_ENGINE_DIR": os.environ["ERGANE_ENGINE_DIR"]}

    def client_python(self) -> Path:
        return Path(sys.executable)

    def client_env(self) -> dict[str, str]:
        """What `ergane env` prints: nothing else points the clients at the server."""
        told = subprocess.run(
            [ERGANE, "env", "--data-dir", self.scratch / "data"],
            check=True,
            capture_output=True,
            text=True,
            env=self.env(),
        )
        return dict(re.findall(r"^export (\w+)='(.*)'$", told.stdout, re.MULTILINE))


class Cold(Ergane):
    """The same without a pool: what a session costs that finds nothing warm."""

    name = "ergane-cold"
    title = "Ergane without a pool"
    about = "`--max-memory 64g --pool 0`; boto3 polling without pause"

    def __init__(self, cache: Path, scratch: Path) -> None:
        super().__init__(cache, scratch)
        self.pool = ("--pool", "0") if has_pool() else ()


@cache
def has_pool() -> bool:
    told = subprocess.run([ERGANE, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    return "--pool=" in told or "--pool " in told


class Through(Peer):
    """Another client of a server of ours that somebody else started."""

    def __init__(self, of: Ergane, cache_folder: Path) -> None:
        self.of = of
        super().__init__(cache_folder, of.scratch)
        self.scratch = of.scratch

    def env(self) -> dict[str, str]:
        return self.of.env()

    def client_env(self) -> dict[str, str]:
        return self.of.client_env()


class PyAthena(Through):
    name = pins = "pyathena"
    title = "PyAthena"
    client_script = "with_pyathena.py"


class Wrangler(Through):
    name = pins = "awswrangler"
    title = "awswrangler"
    client_script = "with_awswrangler.py"


def through(of: Ergane, cache_folder: Path) -> list[Through]:
    return [PyAthena(of, cache_folder), Wrangler(of, cache_folder)]


def install_clients(cache_folder: Path) -> None:
    for name in ("pyathena", "awswrangler"):
        install(name, cache_folder / name)
