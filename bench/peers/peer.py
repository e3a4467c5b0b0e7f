"""What every peer has: an installation, a server that is started and stopped, and clients that talk to it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pins import PINS, SHARED_ENGINE

from harness import NotInTime, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENTS = Path(__file__).resolve().parent / "clients"
INSTALL_LIMIT = 1200
START_LIMIT = 120
STOP_LIMIT = 60


class Lost(Exception):
    """A client that did not answer in time, or has ended."""


class Client:
    """A user of a peer: clients/agent.py in a process of its own."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        with log.open("ab") as to:
            self.process = subprocess.Popen(
                command, env=env, cwd=log.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=to
            )
        self.rest = b""
        self.ask("ready", 120)

    def send(self, op: str, **order: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"op": op} | order).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as e:
            raise Lost("the client has ended") from e

    def receive(self, limit: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        deadline = time.monotonic() + limit
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Lost(f"not within {limit:.0f} s")
            more = os.read(self.process.stdout.fileno(), 1 << 16)
            if not more:
                raise Lost("the client has ended")
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def ask(self, op: str, limit: float, **order: Any) -> dict[str, Any]:
        self.send(op, **order)
        return self.receive(limit)

    def end(self) -> None:
        """The process ends; what its session leaves behind on the server stays there."""
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()


class Peer:
    name = ""
    title = ""
    about = ""  # how it is set up, in a few words
    runs_code = True  # else only plans reach it
    recovers = False  # whether its processes are meant to outlive its server
    pins = ""  # its entry in PINS, if it needs an installation
    client_script = ""

    def __init__(self, cache: Path, scratch: Path) -> None:
        self.home = cache / (self.pins or self.name)
        self.cache = cache
        self.scratch = scratch / self.name
        self.process: subprocess.Popen[bytes] | None = None
        self.commands: list[str] = []

    # What the peers say for themselves.

    def command(self) -> list[str]:
        """What starts the server."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether the server answers."""
        return answers_tcp(self.port)

    def client_args(self) -> list[str]:
        return []

    def more_env(self) -> dict[str, str]:
        return {}

    # What the runner calls.

    def install(self) -> None:
        if self.pins:
            install(self.pins, self.home)

    def fresh(self) -> None:
        """Forget everything: the next start is a first one."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self.port = free_port()

    def start(self) -> None:
        """Start the server, on the port and the folder that it had, and wait until it answers."""
        command = self.command()
        self.note(command)
        with (self.scratch / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=self.env(),
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await_true(f"answer of {self.name}", START_LIMIT, self.checked_ready)

    def checked_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise Lost(f"the server of {self.name} has ended: {(self.scratch / 'server.log').read_text()[-2000:]}")
        return self.is_ready()

    def settle(self) -> None:
        """Wait for what the server makes ready ahead of its sessions."""

    def kill(self) -> None:
        """kill -9 of the server's process alone."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()

    def client(self) -> Client:
        command = [str(self.client_python()), str(CLIENTS / self.client_script), *self.client_args()]
        self.note(command)
        return Client(command, self.env() | self.client_env(), self.scratch / "clients.log")

    def client_python(self) -> Path:
        return self.home / "venv" / "bin" / "python"

    def client_env(self) -> dict[str, str]:
        return {}

    def env(self) -> dict[str, str]:
        return environment(self.scratch) | self.more_env()

    def note(self, command: list[str]) -> None:
        """Remember a command as one would type it, to be printed."""
        text = " ".join(map(str, command))
        for path, name in ((self.scratch, "$SCRATCH"), (self.cache, ".build/peers"), (ROOT, ".")):
            text = text.replace(str(path), name)
        text = text.replace(str(engine_python().parent.parent.parent.parent), "$ERGANE_ENGINE_DIR")
        text = re.sub(r"\b127\.0\.0\.1:\d+|(?<=port[ =])\d+", lambda m: re.sub(r"\d+$", "$PORT", m[0]), text)
        if text not in self.commands:
            self.commands.append(text)


def environment(home: Path) -> dict[str, str]:
    """One without a trace of the developer's AWS, Spark or Ergane settings."""
    env = {
        k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ERGANE_", "XDG_", "SPARK_", "PYSPARK", "JUP"))
    }
    return env | {"HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "TMPDIR": str(home)}


def engine_python() -> Path:
    """The Python of the engine that `ergane setup` has installed."""
    return next(Path(os.environ["ERGANE_ENGINE_DIR"]).glob("*/venv/bin/python"))


def engine_packages() -> Path:
    return next(engine_python().parent.parent.glob("lib/python*/site-packages"))


def install(name: str, home: Path) -> None:
    """Install the pins of name into a virtual environment, unless just these are there."""
    pins = PINS[name]
    digest = hashlib.sha256(" ".join([*pins, str(engine_packages())]).encode()).hexdigest()
    done = home / ".done"
    if done.exists() and done.read_text() == digest:
        return
    shutil.rmtree(home, ignore_errors=True)
    begun = time.monotonic()
    subprocess.run([engine_python(), "-m", "venv", home / "venv"], check=True, timeout=INSTALL_LIMIT)
    wanted = [p for p in pins if p != SHARED_ENGINE]
    pip = [home / "venv" / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *wanted], check=True, timeout=INSTALL_LIMIT)
    if SHARED_ENGINE in pins:
        packages = next((home / "venv").glob("lib/python*/site-packages"))
        (packages / "engine.pth").write_text(f"{engine_packages()}\n")
    done.write_text(digest)
    print(f"installed {' '.join(wanted)} in {time.monotonic() - begun:.0f} s", flush=True)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers_tcp(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def await_true(what: str, limit: float, look: Callable[[], bool]) -> None:
    """wait_for, at short intervals, where what does not come is Lost."""
    try:
        wait_for(what, look, limit, 0.01)
    except NotInTime as e:
        raise Lost(str(e)) from e
