"""What our threads are made of: the interpreter's own primitives.

User code may patch `threading` under our feet (gevent does, for a living); a lock and a thread of the interpreter
itself stay what they are.
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
    """Set once, by one thread; anybody may wait for it."""

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
        """Whether it was set within seconds; without them, waits for ever."""
        if not self._lock.acquire(timeout=seconds):
            return False
        self._lock.release()
        return True


class Threads:
    """Starts our threads. One that breaks ends the kernel, its traceback in the log: half a kernel helps nobody."""

    def __init__(self, log_fd: int) -> None:
        self._log = fdopen(dup(log_fd), "w", buffering=1, errors="backslashreplace")

    def start(self, function: Callable[[], Any]) -> None:
        start_new_thread(self._run, (function,))

    def _run(self, function: Callable[[], Any]) -> None:
        # Signals are for the main thread: SIGINT must end its wait, and what it holds back must not come in here.
        pthread_sigmask(SIG_BLOCK, valid_signals())
        try:
            function()
        except BaseException:
            try:
                print_exc(file=self._log)
            finally:
                _exit(BROKEN_STATUS)
