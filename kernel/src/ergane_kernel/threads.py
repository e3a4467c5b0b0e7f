"""The primitives of our threads: those of the interpreter itself.

User code may patch `threading` (gevent does); the locks and threads of the interpreter itself are not affected.
"""

from __future__ import annotations

from _signal import SIG_BLOCK, pthread_sigmask, valid_signals
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from os import _exit, dup, fdopen
from traceback import print_exc
from typing import Any

BROKEN_STATUS = 70


class Latch:
    """An event that is set once, by one thread; any thread may wait for it."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()
        self._set = False

    def set(self) -> None:
        if not self._set:
            self._set = True
            self._lock.release()

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float = -1) -> bool:
        """Waits until it is set, and returns whether it was set within seconds; without them, waits forever."""
        if not self._lock.acquire(timeout=seconds):
            return False
        self._lock.release()
        return True


class Threads:
    """Starts our threads. An exception in one ends the kernel, with its traceback in the log."""

    def __init__(self, log_fd: int) -> None:
        self._log = fdopen(dup(log_fd), "w", buffering=1, errors="backslashreplace")

    def start(self, function: Callable[[], Any]) -> None:
        start_new_thread(self._run, (function,))

    def _run(self, function: Callable[[], Any]) -> None:
        # Signals are for the main thread: SIGINT must end its wait, and signals that it blocks must not arrive here.
        pthread_sigmask(SIG_BLOCK, valid_signals())
        try:
            function()
        except BaseException:
            try:
                print_exc(file=self._log)
            finally:
                _exit(BROKEN_STATUS)
