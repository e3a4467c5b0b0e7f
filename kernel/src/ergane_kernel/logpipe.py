"""The pipe to the session's log, which Spark's driver writes to as well: the shim keeps the last part of it."""

from __future__ import annotations

from fcntl import F_DUPFD_CLOEXEC, fcntl
from os import O_CLOEXEC, O_WRONLY, close, fstat, open  # noqa: A004 - descriptors only

from .files import write_all

LOWEST_FD = 64  # so that user code gets the low numbers, from 3 on


class LogPipe:
    """A descriptor of our own. If user code closes it, the same pipe is opened again through the driver's stderr."""

    def __init__(self, fd: int) -> None:
        self._fd = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD)
        self._identity = _identity(self._fd)
        self.driver: int | None = None  # pid of the JVM

    def write(self, data: bytes) -> None:
        """Appends data; without a pipe it is lost."""
        if _identity(self._fd) == self._identity or self._reopen():
            write_all(self._fd, data)

    def _reopen(self) -> bool:
        try:
            fd = open(f"/proc/{self.driver}/fd/2", O_WRONLY | O_CLOEXEC)
        except OSError:
            return False
        if _identity(fd) != self._identity:
            close(fd)
            return False
        self._fd = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD)
        close(fd)
        return True


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino
