"""The spool: fds 1 and 2 are two files for the kernel's whole life; a calculation's output is a range of each.

So the output of Python, C code, subprocesses and threads is captured in the same way, in order and without a copy. What
user code does to the descriptors or to sys.stdout is undone before the next block.
"""

from __future__ import annotations

import ctypes
import sys
from fcntl import F_GETFL, F_SETFL, fcntl
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from os import (
    O_APPEND,
    O_CLOEXEC,
    O_CREAT,
    O_NOFOLLOW,
    O_RDONLY,
    O_WRONLY,
    close,
    dup2,
    fdatasync,
    fstat,
    lstat,
    open,  # noqa: A004
    rename,
    stat,
    strerror,
)
from stat import S_ISREG
from time import time_ns

from .files import write_all

STDIN, STDOUT, STDERR = 0, 1, 2
LINE_BUFFERED = 1  # _IOLBF


class SpoolFile:
    """One of the two files, and the descriptor number that user code writes to."""

    def __init__(self, path: str, fd: int) -> None:
        self._path = path
        self._fd = fd
        self._keep = -1
        self._inode = (0, 0)
        self.repair()

    def repair(self) -> None:
        """Makes fd the file again, for appending, whatever was closed, redirected or deleted."""
        if not self._is_ours(self._keep) or not self._is_in_place():
            self._clear_place()
            self._keep = open(self._path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0o600)
            status = fstat(self._keep)
            self._inode = (status.st_dev, status.st_ino)
        if not self._is_ours(self._fd):
            dup2(self._keep, self._fd, inheritable=True)
        flags = fcntl(self._fd, F_GETFL)
        if not flags & O_APPEND:
            fcntl(self._fd, F_SETFL, flags | O_APPEND)

    def _clear_place(self) -> None:
        """Renames what user code put in the file's place (a link, a pipe, a folder)."""
        try:
            mode = lstat(self._path).st_mode
        except OSError:
            return
        if not S_ISREG(mode):
            rename(self._path, f"{self._path}.{time_ns()}")

    def size(self) -> int:
        """The bytes written so far; read by the path if user code closed every descriptor of the file."""
        return fstat(self._keep).st_size if self._is_ours(self._keep) else stat(self._path).st_size

    def write(self, text: str) -> None:
        """Appends text without Python's streams, which user code may have replaced."""
        fd = self._keep if self._is_ours(self._keep) else self._fd
        write_all(fd, text.encode("utf-8", "backslashreplace"))

    def sync(self) -> None:
        if self._is_ours(self._keep):
            fdatasync(self._keep)

    def _is_ours(self, fd: int) -> bool:
        try:
            status = fstat(fd)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode

    def _is_in_place(self) -> bool:
        try:
            status = stat(self._path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._inode


class Spool:
    def __init__(self, directory: str) -> None:
        self.stdout = SpoolFile(f"{directory}/stdout", STDOUT)
        self.stderr = SpoolFile(f"{directory}/stderr", STDERR)
        self._streams: dict[str, TextIOWrapper] = {}
        libc = ctypes.CDLL(None, use_errno=True)
        self._fflush, self._fpurge = libc.fflush, libc["__fpurge"]
        self._c_stdout = ctypes.c_void_p.in_dll(libc, "stdout")
        # C's stdout is fully buffered on a file: with line buffering it stays in order with Python's.
        libc.setvbuf(self._c_stdout, None, ctypes.c_int(LINE_BUFFERED), ctypes.c_size_t(0))
        self.restore_streams()

    def repair(self) -> None:
        """Undoes what a block did to the descriptors and to Python's streams."""
        self.stdout.repair()
        self.stderr.repair()
        try:
            fstat(STDIN)
        except OSError:
            null = open("/dev/null", O_RDONLY)
            if null != STDIN:
                dup2(null, STDIN, inheritable=True)
                close(null)
        self.restore_streams()

    def restore_streams(self) -> None:
        """Every block begins with streams that write to the spool, also after one that redirected or closed them."""
        for name, fd in (("stdout", STDOUT), ("stderr", STDERR)):
            stream = self._streams.get(name)
            if stream is None or stream.closed or stream.buffer.closed:
                stream = _writer(fd)
                self._streams[name] = stream
                setattr(sys, f"__{name}__", stream)
            setattr(sys, name, stream)
        stdin = getattr(sys, "stdin", None)
        if stdin is None or getattr(stdin, "closed", False):
            sys.stdin = TextIOWrapper(BufferedReader(FileIO(STDIN, "r", closefd=False)), encoding="utf-8")

    def flush(self) -> OSError | None:
        """Flushes our streams and C's, which are empty then. Returns the error if something could not be written.

        Streams that user code put in their place are not flushed here.
        """
        unwritten: OSError | None = None
        for stream in self._streams.values():
            try:
                stream.flush()
            except OSError as error:
                unwritten = unwritten or error
                _discard(stream)
            except ValueError:
                pass  # closed
        if self._fflush(self._c_stdout):
            number = ctypes.get_errno()
            unwritten = unwritten or OSError(number, strerror(number))
            self._fpurge(self._c_stdout)
        return unwritten


def _discard(stream: TextIOWrapper) -> None:
    """Empties a stream whose file cannot be written: its content must not appear in another calculation's output."""
    raw = stream.buffer.raw
    raw.write = len  # type: ignore[attr-defined,method-assign] - everything counts as written
    try:
        stream.flush()
    except (OSError, ValueError):
        pass
    finally:
        del raw.write  # type: ignore[attr-defined]


def _writer(fd: int) -> TextIOWrapper:
    raw = FileIO(fd, "w", closefd=False)
    return TextIOWrapper(BufferedWriter(raw, 1 << 16), encoding="utf-8", errors="backslashreplace", line_buffering=True)
