"""`ergane serve`, as a user starts it."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from harness.places import ERGANE, clean_env
from harness.processes import processes_at
from harness.waiting import LIMIT


class Server:
    """A server on a data dir of its own; the process may be another one after each start."""

    def __init__(self, data_dir: Path, binary: Path = ERGANE) -> None:
        self.data_dir, self.binary = data_dir, binary
        self.log = data_dir.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None
        self.args: list[str] = []
        self.more_env: dict[str, str] = {}
        self.under: list[str] = []  # a command that runs the server

    def start(self, *args: str) -> Server:
        """Start the process and wait until it is ready. Without arguments it gets those of its last start."""
        self.launch(*args)
        return self.await_ready()

    def launch(self, *args: str) -> None:
        """Start the process, and wait for nothing."""
        self.args = list(args) or self.args
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(*self.under, self.binary, "serve", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"),
                    # A pool costs more than it brings where each test starts a session or two.
                    *("--data-dir", str(self.data_dir), "--pool", "0"),
                    *("--log-level", "DEBUG", *self.args),  # tests look at the lines of requests, too
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environ(),
            )

    def _environ(self) -> dict[str, str]:
        return clean_env(self.data_dir.parent) | self.more_env

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
        return self.process.wait(LIMIT)

    @property
    def pid(self) -> int:
        """The server's own process, which may have ended."""
        assert self.process is not None
        return self.process.pid

    @property
    def down(self) -> bool:
        """Whether the process has ended or never began."""
        return self.process is None or self.process.poll() is not None

    @property
    def env(self) -> dict[str, str]:
        """The environment that `ergane env` makes."""
        out = subprocess.run(
            [self.binary, "env", "--data-dir", str(self.data_dir)],
            check=True,
            capture_output=True,
            text=True,
            env=self._environ(),
        ).stdout
        return dict(re.findall(r"^export (\w+)='(.*)'$", out, re.MULTILINE))

    def client(self, service: str, key: tuple[str, str] | None = None, **config: Any) -> Any:
        """A boto3 client with the server's key, or with another id and secret."""
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
        """Every process except the server that has the data dir on its command line, as its folder or open."""
        found = processes_at(self.data_dir)
        if self.process is not None:
            found.discard(self.process.pid)
        return sorted(found)

    def errors(self) -> list[str]:
        """The lines of its log that the server itself calls errors."""
        return [line for line in self.log.read_text().splitlines() if "level=ERROR" in line]

    @contextlib.contextmanager
    def no_errors(self, expected: Sequence[str] = ()) -> Iterator[None]:
        """Fail where the log has new errors at the end, except those that have one of the expected words."""
        before = len(self.errors())
        yield
        assert [line for line in self.errors()[before:] if not any(word in line for word in expected)] == []
