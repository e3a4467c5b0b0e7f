"""Where clients stop between two pieces of their work, so that a sample is taken of a server at rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from chaos.world import Violation


class Gate:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = self._over = False
        self._working: dict[str, float] = {}  # by client: since when

    @contextmanager
    def work(self, client: str) -> Iterator[bool]:
        """A piece of work, once the gate is open; False once the run is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or not self._closed)
            go = not self._over
            if go:
                self._working[client] = time.monotonic()
        try:
            yield go
        finally:
            with self._changed:
                self._working.pop(client, None)
                self._changed.notify_all()

    def close(self, limit: float) -> None:
        """Let nobody begin, and wait until all have come to rest."""
        with self._changed:
            self._closed = True
            if not self._changed.wait_for(lambda: not self._working, limit):
                now = time.monotonic()
                late = ", ".join(f"{client} for {now - since:.0f} s" for client, since in self._working.items())
                raise Violation("stuck", f"after {limit:.0f} s these still work: {late}")

    def open(self) -> None:
        with self._changed:
            self._closed = False
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Sleep, or return at once when the run is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._over, seconds)
