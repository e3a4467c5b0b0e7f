"""Small files for another process: each is written atomically."""

from __future__ import annotations

from json import dumps
from os import (
    O_CLOEXEC,
    O_CREAT,
    O_NOFOLLOW,
    O_RDONLY,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
    close,
    fstat,
    fsync,
    ftruncate,
    open,  # noqa: A004 - this module opens file descriptors only
    posix_fallocate,
    pwrite,
    rename,
    stat,
    write,
)
from posixpath import dirname
from typing import Any

OUTCOME_BYTES = 8192


def exists(path: str) -> bool:
    try:
        stat(path)
    except OSError:
        return False
    return True


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[write(fd, view) :]


def write_json(directory: str, name: str, value: Any, durable: bool = False) -> None:
    """Writes value as directory/name by rename; durable also survives the machine's crash."""
    temporary = f"{directory}/.{name}"
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
    try:
        write_all(fd, dumps(value).encode())
        if durable:
            fsync(fd)
    finally:
        close(fd)
    rename(temporary, f"{directory}/{name}")
    if durable:
        sync_directory(directory)


def sync_directory(directory: str) -> None:
    fd = open(directory, O_RDONLY | O_CLOEXEC)
    try:
        fsync(fd)
    finally:
        close(fd)


class Slot:
    """Disk space for an outcome, reserved in advance, in case the disk is full when the outcome is written."""

    def __init__(self, directory: str, name: str) -> None:
        self._directory = directory
        self._name = name
        self._fd = open(f"{directory}/.{name}", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        try:
            posix_fallocate(self._fd, 0, OUTCOME_BYTES)
            status = fstat(self._fd)
        except BaseException:
            close(self._fd)
            raise
        self._inode = (status.st_dev, status.st_ino)

    def commit(self, value: dict[str, Any]) -> None:
        """Makes value durable under its name. Raises OSError if the folder or the file is gone."""
        if not self._is_ours():
            # User code closed our descriptor; its number may have been reused.
            write_json(self._directory, self._name, value, durable=True)
            return
        data = dumps(value).encode()
        if pwrite(self._fd, data, 0) != len(data):
            raise OSError(f"short write of {self._name}")
        ftruncate(self._fd, len(data))
        fsync(self._fd)
        rename(f"{self._directory}/.{self._name}", f"{self._directory}/{self._name}")
        sync_directory(self._directory)
        sync_directory(dirname(self._directory))  # which has the folder's directory entry

    def release(self) -> None:
        if self._is_ours():
            close(self._fd)

    def _is_ours(self) -> bool:
        try:
            status = fstat(self._fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode
