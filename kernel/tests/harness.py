"""A kernel as a real process, and a server that talks to it as Ergane's does."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent / "src"
TOKEN = "0123456789abcdef" * 4
DEADLINE = 60.0
ENGINE_VARIABLE = "ERGANE_TEST_JAVA_BOOT"


def engine() -> dict[str, Any]:
    """The engine under test, {python, java: {argv, env}, spark: {conf}}, from the file that the variable names."""
    path = os.environ.get(ENGINE_VARIABLE)
    assert path, f"{ENGINE_VARIABLE} is not set: these tests need an engine (make test gives one)"
    return json.loads(Path(path).read_text())


def python() -> str:
    """The interpreter of kernels: the engine's where there is one, else our own."""
    return engine()["python"] if ENGINE_VARIABLE in os.environ else sys.executable


class Ended(Exception):
    """The kernel ended while something was awaited of it."""


class Kernel:
    """Starts a kernel in a fresh session folder. Use as a context manager: it ends the process and its children."""

    def __init__(self, engine: dict[str, Any] | None = None, env: dict[str, str] | None = None) -> None:
        """engine has members of the boot document: `java` and `spark` for a kernel with Spark."""
        self.session = Path(tempfile.mkdtemp(prefix="ergane-kernel-"))
        self.work = self.session / "work"
        (self.work / "tmp").mkdir(parents=True)
        boot = {
            "v": 1,
            "token": TOKEN,
            "session": str(uuid.uuid4()),
            "dir": str(self.work),
            "env": env or {},
            **(engine or {}),
        }
        self._log_read, log_write = os.pipe()
        boot_read, boot_write = os.pipe()
        with open(self.session / "spawn.log", "wb") as spawn_log:
            self.process = subprocess.Popen(
                [python(), "-s", "-X", "utf8", str(SOURCE)],
                stdin=subprocess.DEVNULL,
                stdout=spawn_log,
                stderr=spawn_log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.session), "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
                cwd=self.work / "tmp",
                # The fds of the contract: 3 is the boot document, 4 the session log; ours close themselves at exec.
                preexec_fn=lambda: _arrange(boot_read, log_write),
                close_fds=False,
            )
        os.close(boot_read)
        os.close(log_write)
        with os.fdopen(boot_write, "w") as document:
            json.dump(boot, document)
        self.pidfd = os.pidfd_open(self.process.pid)
        self._epoch = 0
        self._server: Server | None = None
        self.logged = b""  # all that came on the session log

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._server is not None:
            self._server.close()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.pidfd)
        os.close(self._log_read)
        shutil.rmtree(self.session, ignore_errors=True)

    # ---- the socket ----

    @property
    def server(self) -> Server:
        """The accepted connection; made at first use, when the kernel is ready."""
        if self._server is None:
            self._server = self.connect()
            self.until((self.work / "ready.json").exists, "ready")
        return self._server

    def connect(self) -> Server:
        server = self.dial()
        self._epoch += 1
        answer = server.ask(op="hello", v=1, token=TOKEN, epoch=self._epoch)
        assert answer["v"] == 1, answer
        assert answer["pid"] == self.process.pid
        return server

    def reconnect(self) -> None:
        """After a block that closed the kernel's descriptors."""
        self._server = self.until(self._welcomed, "a new socket")

    def _welcomed(self) -> Server | None:
        try:
            return self.connect()
        except (EOFError, OSError):
            return None

    def dial(self) -> Server:
        path = str(self.work / "kernel.sock")

        def connected() -> socket.socket | None:
            peer = socket.socket(socket.AF_UNIX)
            try:
                peer.connect(path)
            except OSError:
                peer.close()
                return None
            return peer

        return Server(self, self.until(connected, "kernel.sock"))

    # ---- calculations ----

    def submit(self, code: str | bytes, answered: bool = True) -> Calculation:
        """Orders code to run. answered=False: the kernel may be dead before it has answered."""
        calculation = Calculation(self, str(uuid.uuid4()))
        calculation.folder.mkdir(parents=True)
        (calculation.folder / "code.py").write_bytes(code if isinstance(code, bytes) else code.encode())
        n = self.server.send(op="exec", id=calculation.id)
        if answered:
            assert self.server.answer(n).get("state") == "accepted"
        return calculation

    def run(self, code: str | bytes) -> Calculation:
        calculation = self.submit(code)
        calculation.await_outcome()
        return calculation

    # ---- waiting ----

    def until(self, condition: Any, what: str, seconds: float = DEADLINE) -> Any:
        """Awaits a true condition; fails at once where the kernel has ended."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None:
                value = condition()
                if value:
                    return value
                raise Ended(f"{what}: kernel ended with {self.process.returncode}: {self.words()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds} s: {self.words()}")
            select.select([self._log_read], [], [], 0.002)
            self.log()

    def log(self) -> bytes:
        """What came on the session log; read all the time, or the JVM would block."""
        data = b""
        while select.select([self._log_read], [], [], 0)[0]:
            chunk = os.read(self._log_read, 65536)
            if not chunk:
                break
            data += chunk
        self.logged += data
        return data

    def log_lines(self, *parts: str) -> list[str]:
        """The lines of the session log, once every part is among them."""

        def found() -> bool:
            self.log()
            return all(part.encode() in self.logged for part in parts)

        self.until(found, f"{parts} in the log")
        return self.logged.decode(errors="replace").splitlines()

    def words(self) -> str:
        return (self.session / "spawn.log").read_text(errors="replace") + self.spool("stderr")[-2000:]

    def spool(self, name: str) -> str:
        path = self.work / name
        return path.read_bytes().decode(errors="replace") if path.exists() else ""

    def wait_end(self, seconds: float = DEADLINE) -> int:
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "the kernel does not end"
            self.log()
            select.select([self.pidfd], [], [], 0.05)
        return self.process.returncode

    def children(self) -> list[int]:
        return children(self.process.pid)


def children(pid: int) -> list[int]:
    """The children of a process, none of one that has ended; threads may end meanwhile."""
    found: list[int] = []
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return found
    for thread in threads:
        try:
            found += [int(child) for child in (thread / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class Server:
    def __init__(self, kernel: Kernel, peer: socket.socket) -> None:
        self.kernel = kernel
        self.peer = peer
        self.events: list[dict[str, Any]] = []
        self._answers: dict[Any, dict[str, Any]] = {}
        self._buffer = b""
        self._n = 0

    def send(self, **message: Any) -> int:
        self._n += 1
        self.peer.sendall((json.dumps({"n": self._n, **message}) + "\n").encode())
        return self._n

    def ask(self, **message: Any) -> dict[str, Any]:
        n = self.send(**message)
        return self.answer(n)

    def answer(self, n: int, seconds: float = DEADLINE) -> dict[str, Any]:
        return self.kernel_until(lambda: self._answers.pop(n, None), f"answer {n}", seconds)

    def event(self, kind: str, seconds: float = DEADLINE) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next((event for event in self.events if event["ev"] == kind), None)

        event = self.kernel_until(found, f"event {kind}", seconds)
        self.events.remove(event)
        return event

    def kernel_until(self, condition: Any, what: str, seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value is not None:
                return value
            left = deadline - time.monotonic()
            assert left > 0, f"{what}: not within {seconds} s"
            self.kernel.log()
            if select.select([self.peer], [], [], min(left, 0.1))[0]:
                data = self.peer.recv(1 << 20)
                if not data:
                    raise EOFError(what)
                *lines, self._buffer = (self._buffer + data).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    if "ev" in message:
                        self.events.append(message)
                    else:
                        self._answers[message["re"]] = message

    def at_end(self, seconds: float = DEADLINE) -> bool:
        """Whether the kernel has closed the connection, after any answers in it."""
        try:
            self.kernel_until(lambda: None, "end", seconds)
        except (EOFError, ConnectionResetError):
            return True
        return False

    def close(self) -> None:
        self.peer.close()


class Calculation:
    def __init__(self, kernel: Kernel, id: str) -> None:
        self.kernel = kernel
        self.id = id
        self.folder = kernel.work / "calc" / id

    def await_outcome(self, seconds: float = DEADLINE) -> dict[str, Any]:
        self.kernel.until((self.folder / "outcome.json").exists, f"outcome of {self.id}", seconds)
        return self.outcome

    def await_started(self) -> None:
        self.kernel.until((self.folder / "started.json").exists, "started")

    def await_stdout(self, text: str) -> None:
        start = self.kernel.until(self.started, "started")["stdout"]
        self.kernel.until(
            lambda: text in (self.kernel.work / "stdout").read_bytes()[start:].decode(errors="replace"),
            f"stdout {text}",
        )

    def started(self) -> dict[str, Any] | None:
        path = self.folder / "started.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def outcome(self) -> dict[str, Any]:
        return json.loads((self.folder / "outcome.json").read_text())

    @property
    def state(self) -> str:
        return self.outcome["state"]

    def _range(self, name: str) -> bytes:
        start, end = self.outcome[name]
        with open(self.kernel.work / name, "rb") as file:
            file.seek(start)
            return file.read(end - start)

    @property
    def stdout_bytes(self) -> bytes:
        return self._range("stdout")

    @property
    def stdout(self) -> str:
        return self._range("stdout").decode()

    @property
    def stderr(self) -> str:
        return self._range("stderr").decode()

    @property
    def outputs(self) -> list[dict[str, Any]]:
        data = (self.folder / "outputs.ndjson").read_bytes()[: self.outcome["outputs"]]
        return [json.loads(line) for line in data.splitlines()]

    # ---- the server's part of an interrupt: order, marker, signal, again while the marker is there ----

    def interrupt(self, seconds: float = DEADLINE) -> dict[str, Any]:
        order = self.kernel.server.ask(op="interrupt", id=self.id)
        if order["ok"]:
            self.strike()
            self.kernel.until(self._interrupted_or_over, "end of an interrupted block", seconds)
        return self.await_outcome()

    def strike(self) -> None:
        """One marker and one signal."""
        (self.folder / "interrupt").touch()
        self.signal()

    def signal(self) -> None:
        try:
            signal.pidfd_send_signal(self.kernel.pidfd, signal.SIGINT)
        except ProcessLookupError:
            pass

    def _interrupted_or_over(self) -> bool:
        if (self.folder / "outcome.json").exists():
            return True
        if (self.folder / "interrupt").exists():
            self.signal()
        return False


def _arrange(boot: int, log: int) -> None:
    os.setpgid(0, 0)
    # Above both targets first: one of them may be the other's number.
    boot, log = (os.dup2(fd, 100 + fd) for fd in (boot, log))
    os.dup2(boot, 3)
    os.dup2(log, 4)
    os.close(boot)
    os.close(log)
