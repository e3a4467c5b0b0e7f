"""Rich output of a calculation: one line of JSON for each output, exactly as in the results object."""

from __future__ import annotations

from base64 import b64encode
from json import dumps
from math import isfinite
from os import O_APPEND, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_WRONLY, close, fdatasync, fstat, open, stat  # noqa: A004
from threading import Lock
from typing import Any

from .files import write_all

MAX_BYTES = 16 << 20
_FULL = {
    "text/plain": f"[Further output is left out: a calculation keeps {MAX_BYTES >> 20} MiB of rich output.]",
}


class Outputs:
    """The file outputs.ndjson of one calculation. Threads of user code may write to it at once."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o600)
        status = fstat(self._fd)
        self._inode = (status.st_dev, status.st_ino)
        self._lock = Lock()
        self._room = MAX_BYTES  # bytes left, guarded by _lock; negative: the file is full, and its last line says so

    def emit(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        line = _line(data, metadata or {})
        with self._lock:
            if self._room < 0 or not self._is_ours():
                return
            if len(line) > self._room:
                line, self._room = _line(_FULL, {}), -1
            else:
                self._room -= len(line)
            write_all(self._fd, line)

    def close(self) -> int:
        """Makes the file durable and returns its size in bytes."""
        with self._lock:
            self._room = -1
            if not self._is_ours():
                return _size(self._path)
            size = fstat(self._fd).st_size
            if size:
                fdatasync(self._fd)
            close(self._fd)
            return size

    def _is_ours(self) -> bool:
        try:
            status = fstat(self._fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode


def _size(path: str) -> int:
    try:
        return stat(path).st_size
    except OSError:
        return 0


def _line(data: dict[str, Any], metadata: dict[str, Any]) -> bytes:
    portable = {mime: _portable(value) for mime, value in data.items()}
    return (_json({"data": portable, "metadata": metadata}) + "\n").encode()


def _portable(value: Any) -> Any:
    return b64encode(value).decode() if isinstance(value, bytes) else value


def _json(bundle: dict[str, Any]) -> str:
    try:
        return dumps(bundle, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        pass  # NaN is not valid JSON, and metadata may hold anything
    try:
        return dumps(_plain(bundle))
    except RecursionError:
        data = {str(mime): value if isinstance(value, str) else repr(value) for mime, value in bundle["data"].items()}
        return dumps({"data": data, "metadata": {}})


def _plain(value: Any) -> Any:
    """value as JSON: NaN and infinity become null, as in a browser, and other objects their text."""
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int)) else repr(value)
