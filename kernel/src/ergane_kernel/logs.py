"""The globals athena_user_logger and athena_shared_logger: Python loggers that write to the session's log.

They belong to a tree of loggers of their own, so user code's configuration cannot silence them, and nothing that they
write reaches the block's stderr. PySpark pickles this module by value, so that functions on workers can log, too:
so it uses only the standard library.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable
from typing import Any

# On Athena the user's lines have the name of the module `builtins`.
NAMES = {"athena_user_logger": "builtins", "athena_shared_logger": "athena_shared_logger"}
FORMAT = "AthenaForApacheSpark: %(asctime)s %(levelname)s %(name)s: %(message)s"
MAX_CHARACTERS = 32 << 10  # of one record
STDERR = 2

_of_kernel: logging.Manager | None = None

# Characters that move a terminal's cursor, except line ends, could hide other records: carriage returns, escapes.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class AthenaLogger(logging.Logger):
    def __reduce__(self) -> Any:
        return on_worker, (self.name, self.getEffectiveLevel())

    def __copy__(self) -> AthenaLogger:
        return self

    def __deepcopy__(self, _: Any) -> AthenaLogger:
        return self


class LogHandler(logging.Handler):
    """Writes a record as one line that begins like Athena's; further lines of a message are indented."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORMAT))
        self._write_bytes = write
        self._torn = False  # an interrupt came in the middle of a record

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:  # from code of the message; it must not reach the block's stderr
            text = self._substitute(record, error)
        data = (_one_record(text) + "\n").encode("utf-8", "backslashreplace")
        if self._torn:
            data = b"\n" + data
        self._torn = True
        try:
            self._write_bytes(data)
        except OSError:
            pass  # the log is gone, or the disk is full: the block goes on
        self._torn = False

    def _substitute(self, record: logging.LogRecord, error: Exception) -> str:
        record.msg, record.args = f"a message that cannot be formatted: {type(error).__name__}", None
        record.exc_info = record.exc_text = record.stack_info = None
        return self.format(record)


def make_loggers(write: Callable[[bytes], Any], level: int = logging.INFO) -> dict[str, logging.Logger]:
    """The two loggers by the names of their globals."""
    manager = logging.Manager(logging.RootLogger(level))
    manager.setLoggerClass(AthenaLogger)
    manager.root.addHandler(LogHandler(write))
    return {variable: manager.getLogger(name) for variable, name in NAMES.items()}


def on_worker(name: str, level: int) -> logging.Logger:
    """Unpickles a logger. In the kernel and its forks it is the same one; on a worker it writes to stderr, which is the
    session's log."""
    own = vars(sys.modules.get(__name__, sys)).get("_of_kernel")  # by its name, otherwise it would be pickled, too
    if own is not None:
        return own.getLogger(name)  # type: ignore[no-any-return]
    loggers = make_loggers(lambda data: os.write(STDERR, data), level)
    return loggers["athena_user_logger"].manager.getLogger(name)


def make_kernels(write: Callable[[bytes], Any]) -> dict[str, logging.Logger]:
    """Makes the loggers of this process and its forks; called once."""
    global _of_kernel  # noqa: PLW0603
    loggers = make_loggers(write)
    _of_kernel = loggers["athena_user_logger"].manager
    return loggers


def bind(loggers: dict[str, logging.Logger], namespace: dict[str, Any]) -> None:
    """Gives the block the loggers that it lacks; the user's own are left alone."""
    for name, logger in loggers.items():
        if namespace.get(name) is None:
            namespace[name] = logger


def _one_record(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        text = f"{text[:MAX_CHARACTERS]}… [{len(text) - MAX_CHARACTERS} more characters are left out]"
    shown = _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
    return shown.rstrip("\n").replace("\n", "\n    ")
