"""Decides which calculation runs: takes the server's orders, refuses a second one while one runs, keeps their ids."""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from collections.abc import Callable
from threading import Lock

from .calculation import Calculation


class Dispatcher:
    """Called by the control thread (orders) and by the recorder (progress of the work)."""

    def __init__(self, directory: str, on_interrupt: Callable[[Calculation], None]) -> None:
        self._directory = directory
        self._on_interrupt = on_interrupt
        self._lock = Lock()
        self._orders: SimpleQueue[Calculation] = SimpleQueue()
        self._current: Calculation | None = None
        self._ready = False
        self._seen: set[str] = set()

    # ---- orders ----

    def execute(self, id: str) -> dict[str, str]:  # noqa: A002 - the word of the protocol
        """Takes an order to run; the same id twice is the same order."""
        with self._lock:
            current = self._current
            if current is not None and current.id == id:
                return {"state": "running"}
            calculation = Calculation(id, f"{self._directory}/calc/{id}")
            if id in self._seen or calculation.begun:
                return {"state": "done"}
            if not self._ready:
                return {"err": "not ready"}
            if current is not None and not current.finishing:
                return {"err": "busy"}
            if not calculation.written:
                return {"err": "no code"}
            self._seen.add(id)
            self._current = calculation
            self._orders.put(calculation)
            return {"state": "accepted"}

    def interrupt(self, id: str, strike: bool = False) -> bool:  # noqa: A002
        """Begins to stop the calculation; False where it is not the current one or has ended already.

        strike replaces the marker: the next signal is for the block.
        """
        with self._lock:
            current = self._current
            if current is None or current.id != id or current.finishing:
                return False
            if strike and not current.closed:
                current.asked = True
            if current.interrupted:
                return True
            if current.closed:
                return False
            current.interrupted = True
        self._on_interrupt(current)
        return True

    def pending(self, id: str) -> bool:  # noqa: A002
        """Whether there is an order with strike that the block has not taken."""
        with self._lock:
            current = self._current
            return current is not None and current.id == id and current.asked and not current.closed

    @property
    def current(self) -> str | None:
        with self._lock:
            return self._current.id if self._current is not None else None

    @property
    def ready(self) -> bool:
        return self._ready

    @property
    def free(self) -> bool:
        """Whether no block runs or waits, so that the main thread can do something else."""
        with self._lock:
            return self._ready and (self._current is None or self._current.finishing)

    @property
    def recording(self) -> bool:
        """Whether a block has ended and its outcome is not written yet."""
        with self._lock:
            return self._current is not None and self._current.closed

    # ---- work ----

    def open(self) -> None:
        self._ready = True

    def next(self, seconds: float | None = None) -> Calculation | None:
        """Waits for the next order and returns it; None if there is none within seconds."""
        try:
            return self._orders.get(timeout=seconds)
        except Empty:
            return None

    def close(self, calculation: Calculation) -> bool:
        """The block has ended, and an order to stop it is too late from now on. Returns whether there was one before.

        Code that holds the interpreter's lock (a regular expression) may take the signal before the control thread
        reads the order: then the order counts, too.
        """
        with self._lock:
            calculation.closed = True
            unread = calculation.raised and not calculation.interrupted
            calculation.interrupted |= unread
        if unread:
            self._on_interrupt(calculation)
        return calculation.interrupted

    def finish(self, calculation: Calculation) -> None:
        """Its outcome is about to be written: a server that reads it may order the next calculation at once."""
        with self._lock:
            calculation.finishing = True

    def leave(self, calculation: Calculation) -> None:
        """Its outcome is recorded; the next calculation may have been ordered already."""
        with self._lock:
            if self._current is calculation:
                self._current = None
