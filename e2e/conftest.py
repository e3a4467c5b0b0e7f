"""A real server with real Spark, as a user starts it, and the clients to talk to it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
ERGANE = Path(os.environ.get("ERGANE_TEST_BINARY", ROOT / ".build" / "ergane"))

# Sessions are polled as often as a test wants to; the server holds young reads anyway.
POLL = 0.05
# Ten times what a quiet machine needs, and more: a limit that is reached is a failure, and not a figure.
SESSION_LIMIT = 600
CALCULATION_LIMIT = 600


# What sessions may write, and tests look at; all else of this machine they do not see.
COMMON = Path(tempfile.mkdtemp(prefix="ergane-common-"))
COMMON.chmod(0o777)
atexit.register(shutil.rmtree, COMMON, ignore_errors=True)

# What harms everything that it can reach runs only where that is nothing: `make e2e` makes such a box.
boxed = pytest.mark.skipif("ERGANE_TEST_BOX" not in os.environ, reason="it could harm the machine: make e2e has a box")

T = TypeVar("T")


def wait_for(what: str, limit: float, look: Callable[[], T | None]) -> T:
    """Return what look returns as soon as it is not None; fail after limit seconds."""
    end = time.monotonic() + limit
    while True:
        late = time.monotonic() >= end  # before the look, so that the last one is after the limit
        got = look()
        if got is not None:
            return got
        if late:
            raise AssertionError(f"no {what} within {limit} s")
        time.sleep(POLL)


def files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file and its size, as far as they stay there to be looked at."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat().st_size


def clean_env(home: Path) -> dict[str, str]:
    """An environment without a trace of the developer's AWS or Ergane settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ERGANE_", "XDG_"))}
    env["HOME"] = str(home)
    env["ERGANE_ENGINE_DIR"] = os.environ["ERGANE_ENGINE_DIR"]
    env["ERGANE_ALLOW_PATH"] = f"{COMMON}:rw"
    return env


def command_line(pid: int) -> bytes:
    """The arguments of a process, each with a NUL at its end; nothing if it has ended or is ending."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descriptors(pid: int) -> list[str]:
    """What a process has open, as far as it stays open to be looked at."""
    found = []
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(fd))
    return found


def processes_at(folder: Path) -> set[int]:
    """Every process that has the folder on its command line, or works or has a file open in it."""
    found = set()
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit() or int(proc.name) == os.getpid():
            continue
        pid = int(proc.name)
        with contextlib.suppress(OSError):  # it may end meanwhile
            text = [command_line(pid).decode(errors="replace"), os.readlink(proc / "cwd"), *descriptors(pid)]
            if any(str(folder) in t for t in text):
                found.add(pid)
    return found


class Server:
    """`ergane serve` on a data dir of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None
        self.args: list[str] = []
        self.more_env: dict[str, str] = {}
        self.under: list[str] = []  # a command that runs the server

    def start(self, *args: str) -> Server:
        self.launch(*args)
        return self.await_ready()

    def launch(self, *args: str) -> None:
        """Start the process, and wait for nothing."""
        self.args = list(args) or self.args
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(*self.under, ERGANE, "serve", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"),
                    # A pool costs more than it brings where each test starts a session or two.
                    *("--data-dir", str(self.data_dir), "--pool", "0"),
                    *("--log-level", "DEBUG", *self.args),  # tests look at the lines of requests, too
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                env=clean_env(self.data_dir.parent) | self.more_env,
            )

    def await_ready(self) -> Server:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("ergane is ready: "), f"{line!r}; log: {self.log.read_text()[-2000:]}"
        return self

    def kill(self) -> None:
        """kill -9: nothing is said, nothing is cleaned up."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SESSION_LIMIT)

    @property
    def env(self) -> dict[str, str]:
        """The environment that `ergane env` makes."""
        out = subprocess.run(
            [ERGANE, "env", "--data-dir", str(self.data_dir)],
            check=True,
            capture_output=True,
            text=True,
            env=clean_env(self.data_dir.parent) | self.more_env,
        ).stdout
        return dict(re.findall(r"^export (\w+)='(.*)'$", out, re.MULTILINE))

    def client(self, service: str, key: tuple[str, str] | None = None, **config: Any) -> Any:
        """A client with the server's key, or with another id and secret."""
        env = self.env
        access_key_id, secret = key or (env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
        return boto3.client(
            service,
            endpoint_url=env[f"AWS_ENDPOINT_URL_{service.upper()}"],
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret,
            region_name=env["AWS_REGION"],
            config=Config(**config),
        )

    def session_processes(self) -> list[int]:
        """Every process but the server that has the data dir on its command line, as its folder or open."""
        found = processes_at(self.data_dir)
        if self.process is not None:
            found.discard(self.process.pid)
        return sorted(found)


def never_5xx(response_dict: dict[str, Any] | None, **_: Any) -> None:
    """Seen before botocore retries, so that it cannot hide one."""
    if response_dict is not None and response_dict["status_code"] >= 500:
        raise AssertionError(f"the server answers {response_dict['status_code']}: {response_dict['body']!r}")


class Athena:
    """What a test says to the API, in few words."""

    def __init__(self, server: Server, **config: Any) -> None:
        self.api = server.client("athena", **config)
        self.api.meta.events.register("response-received.athena", never_5xx)
        self.s3 = server.client("s3")

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

    def await_session(self, sid: str, leave: str = "CREATING", limit: float = SESSION_LIMIT) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            status = self.status(sid)
            return None if status["State"] in leave.split() else status

        return wait_for(f"end of {leave} of session {sid}", limit, look)

    def submit(self, sid: str, code: str, **kwargs: Any) -> str:
        return self.api.start_calculation_execution(SessionId=sid, CodeBlock=code, **kwargs)["CalculationExecutionId"]

    def await_calculation(self, cid: str, limit: float = CALCULATION_LIMIT) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            got = self.api.get_calculation_execution(CalculationExecutionId=cid)
            return got if got["Status"]["State"] in ("COMPLETED", "FAILED", "CANCELED") else None

        return wait_for(f"end of calculation {cid}", limit, look)

    def run(self, sid: str, code: str) -> Result:
        got = self.await_calculation(self.submit(sid, code))
        return Result(self, got)

    def read(self, uri: str) -> bytes:
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


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as they found it."""
    server = Server(tmp_path_factory.mktemp("ergane") / "data").start()
    yield server
    end(server)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    server = Server(tmp_path / "data").start()
    yield server
    end(server)


def end(server: Server) -> None:
    """Terminate every session, stop the server, and see that nothing is left of them."""
    if server.process is None or server.process.poll() is not None:
        server.start()
    athena = Athena(server)
    live = []
    for group in athena.api.list_work_groups()["WorkGroups"]:
        for s in athena.api.list_sessions(WorkGroup=group["Name"])["Sessions"]:
            athena.api.terminate_session(SessionId=s["SessionId"])
            live.append(s["SessionId"])
        for state in ("DEGRADED", "TERMINATING"):
            others = athena.api.list_sessions(WorkGroup=group["Name"], StateFilter=state)
            for s in others["Sessions"]:
                athena.api.terminate_session(SessionId=s["SessionId"])
                live.append(s["SessionId"])
    for sid in live:
        athena.await_session(sid, leave="TERMINATING")
    assert server.stop() == 0
    if "--pool" in server.args:  # kernels that wait are left to the next server, for a while
        server.start(*server.args, "--pool", "0")
        wait_for("end of the pool", 600, lambda: None if waiting_kernels(server) else True)
        assert server.stop() == 0
    wait_for("end of all processes", 600, lambda: True if not server.session_processes() else None)


def waiting_kernels(server: Server) -> list[str]:
    """The ids of the kernels that were started ahead, and that no session has claimed."""
    work = (path.parent / "work" for path in (server.data_dir / "sessions").glob("*/ahead.json"))
    return [folder.parent.name for folder in work if folder.exists() and not (folder / "claim.json").exists()]


@pytest.fixture
def common() -> Path:
    """A folder in which a test and the code of its sessions find each other's files."""
    return common_folder()


def common_folder() -> Path:
    folder = Path(tempfile.mkdtemp(dir=COMMON))
    folder.chmod(0o777)  # sessions have users of their own
    return folder


@pytest.fixture(scope="session")
def athena(shared_server: Server) -> Athena:
    return Athena(shared_server)


@pytest.fixture(scope="session")
def session(athena: Athena) -> str:
    """One session for all calculations that leave it as they found it."""
    return athena.session()
