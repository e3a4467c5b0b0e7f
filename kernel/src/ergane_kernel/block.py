"""Runs one block of user code on the main thread, so that nothing it does goes past its end."""

from __future__ import annotations

import sys
from logging import Logger
from os import _exit, getpid
from typing import NoReturn

from . import logs, tracebacks
from .calculation import Calculation
from .handlers import UserHandlers
from .interrupt import Interrupts
from .outputs import Outputs
from .process import SharedState
from .shell import Shell
from .spark import Spark
from .spool import Spool
from .tracebacks import VALUE_BYTES

CHILD_FAILED = 1

# How many exceptions in a row, raised by user code's signal handlers at its end, are caught.
FENCES = 8


class BlockRunner:
    def __init__(
        self,
        shell: Shell,
        spool: Spool,
        interrupts: Interrupts,
        state: SharedState,
        spark: Spark | None,
        loggers: dict[str, Logger],
    ) -> None:
        self._shell = shell
        self._spool = spool
        self._interrupts = interrupts
        self._handlers = UserHandlers()
        self._state = state
        self._spark = spark
        self._loggers = loggers
        self._pid = getpid()

    def run(self, calculation: Calculation, source: str, outputs: Outputs) -> dict[str, str] | None:
        """Runs source to its end, on the main thread. Returns how it failed; the traceback is in the spool."""
        self._state.repair()
        self._shell.outputs = outputs
        self._interrupts.enter()
        try:
            return self._run(calculation, source)
        finally:
            self._interrupts.leave()
            self._shell.outputs = None

    def _run(self, calculation: Calculation, source: str) -> dict[str, str] | None:
        """The part that an order to stop may interrupt, until user code has ended."""
        failure: BaseException | None = None
        try:
            self._interrupts.arm(calculation)
            logs.bind(self._loggers, self._shell.user_ns)
            if self._spark is not None:
                self._spark.prepare(calculation, self._shell.user_ns)
            self._execute(source, FENCES)
        except BaseException as error:
            failure = error
        self._state.repair()
        if getpid() != self._pid:
            self._leave_child(failure)
        return self._report(failure)

    def _execute(self, source: str, fences: int) -> None:
        """Runs source with the user's signal handlers, which are held when it returns.

        Until then, a handler may raise between any two steps, like the block's last statement: an exception past one
        fence is caught by the next one, which holds the handlers again; the exception is the block's failure.
        """
        try:
            if fences:
                self._execute(source, fences - 1)
            else:
                self._handlers.release()
                self._shell.execute(source)
        finally:
            self._handlers.hold()

    def _report(self, failure: BaseException | None) -> dict[str, str] | None:
        """Writes the failure to stderr; returns its name and text. Output that cannot be written is a failure, too."""
        try:
            _flush_user_streams()
            report = self._words(failure) if failure is not None else None
        except BaseException as error:  # an order to stop, in an exception's text or a stream of user code
            report = tracebacks.words(error)
        self._interrupts.disarm()
        unwritten = self._spool.flush()
        if report is None and unwritten is not None:
            report = tracebacks.words(unwritten)
        if report is None:
            return None
        error, text = report
        try:
            self._spool.stderr.write(text)
        except OSError:
            pass  # the disk is full: the outcome has the error nevertheless
        return error

    def _words(self, failure: BaseException) -> tuple[dict[str, str], str]:
        error = tracebacks.describe(failure)  # first: an exception's text may be code, and may be interrupted
        text = tracebacks.text(failure)
        death = self._spark.death(failure) if self._spark is not None else None
        if death is None:
            return error, text
        # Python's error, mostly a refused connection, is only a consequence of that.
        value = tracebacks.bounded(f"{death}; {error['name']}: {error['value']}", VALUE_BYTES)
        return {"name": "", "value": value}, f"{text}{death[0].upper()}{death[1:]}.\n"

    def _leave_child(self, failure: BaseException | None) -> NoReturn:
        """The block forked, and this is the child at the end of the block: it exits as a script would."""
        status = 0
        if isinstance(failure, SystemExit) and (failure.code is None or isinstance(failure.code, int)):
            status = failure.code or 0
        elif failure is not None:
            self._spool.stderr.write(tracebacks.text(failure))
            status = CHILD_FAILED
        self._spool.flush()
        _exit(status & 0xFF)


def _flush_user_streams() -> None:
    """Flushes the streams that user code put in place of ours, which may have buffered text."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except KeyboardInterrupt:
            raise
        except BaseException:
            pass  # None, closed, or hostile: nothing can be flushed
