"""The JVM of the Spark driver: our child process, started without spark-submit."""

from __future__ import annotations

import contextlib
import signal
import struct
import subprocess
from collections.abc import Iterator
from os import P_PIDFD, WEXITED, WNOHANG, WNOWAIT, close, environ, fstat, pidfd_open, unlink, waitid
from select import poll
from typing import Any

from .boot import Java

POLL_MS = 5
# org.apache.spark.util.SparkExitCode.OOM: how Spark ends a JVM in which a task met an OutOfMemoryError.
OOM_STATUS = 52


class DriverError(Exception):
    """The JVM ended before it was ready."""


class Driver:
    def __init__(self, java: Java, log_fd: int, tmp: str) -> None:
        """Starts the JVM, with stdout and stderr on log_fd. It lives as long as the pipe to its stdin."""
        self._info = f"{tmp}/.driver"
        env = {**environ, **java.env, "_PYSPARK_DRIVER_CONN_INFO_PATH": self._info}
        with _sigint_ignored():
            self._process = subprocess.Popen(
                java.argv, stdin=subprocess.PIPE, stdout=log_fd, stderr=log_fd, env=env, cwd=tmp
            )
        self.pid = self._process.pid
        self.pidfd = pidfd_open(self.pid)
        self.alive = True

    def connection(self) -> tuple[int, str]:
        """Waits for the JVM's gateway; returns its port and secret."""
        ended = poll()
        ended.register(self.pidfd)
        while True:
            try:
                with open(self._info, "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                if ended.poll(POLL_MS):
                    raise DriverError(self._early_end()) from None
                continue
            unlink(self._info)  # it holds the secret
            port, length = struct.unpack(">ii", data[:8])
            return port, data[8 : 8 + length].decode()

    def raise_if_dead(self, seconds: float) -> None:
        """Raises a DriverError if the JVM is dead, or dies within seconds, before it was ready."""
        if self.end_within(seconds) is not None:
            raise DriverError(self._early_end())

    def end_within(self, seconds: float) -> str | None:
        """How the JVM ended, "was killed by …", if it has ended or ends within seconds.

        Its sockets close a moment before it ends: the error of a call over them does not say why.
        """
        ended = poll()
        ended.register(self.pidfd)
        return _sentence(self.status()) if ended.poll(seconds * 1000) else None

    def _early_end(self) -> str:
        return f"the Spark driver {_sentence(self.status())} before it was ready"

    def status(self) -> dict[str, int | None]:
        """The exit code and signal of the ended JVM; None if unknown (user code reaped it before us)."""
        self.alive = False
        try:
            result = waitid(P_PIDFD, self.pidfd, WEXITED | WNOHANG | WNOWAIT)
        except OSError:
            result = None
        if result is None:
            return {"code": None, "signal": None}
        if result.si_code == 1:  # CLD_EXITED
            return {"code": result.si_status, "signal": 0}
        return {"code": -1, "signal": result.si_status}

    def end(self, seconds: float) -> None:
        """Closes the JVM's stdin, which ends it, and kills it after seconds."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def abandon(self) -> None:
        """In a forked child: the JVM must not live on because the child holds the pipe."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                close(self._process.stdin.fileno())


def log_descriptor(fd: int) -> int:
    """fd if it is open; otherwise our stderr, so that the JVM's output is never lost."""
    try:
        fstat(fd)
    except OSError:
        return 2
    return fd


@contextlib.contextmanager
def _sigint_ignored() -> Iterator[None]:
    """A child inherits ignored signals: an interrupt for a block must not end Spark."""
    handler: Any = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _sentence(status: dict[str, int | None]) -> str:
    if number := status["signal"]:
        return f"was killed by signal {number} ({(signal.strsignal(number) or 'unknown').lower()})"
    if status["code"] is None:
        return "ended"
    why = ": Java ran out of memory, see spark.driver.memory" if status["code"] == OOM_STATUS else ""
    return f"exited with status {status['code']}{why}"
