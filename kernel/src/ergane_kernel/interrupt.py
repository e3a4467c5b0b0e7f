"""SIGINT: an order to stop raises KeyboardInterrupt in the block it names, and never in another.

The order is a file, `interrupt`, in the calculation's folder; the signal only says that there may be one. Whoever
unlinks the file has taken the order, so a signal that comes late finds none.
"""

from __future__ import annotations

from os import getpid, unlink
from signal import SIG_UNBLOCK, SIGINT, default_int_handler, getsignal, pthread_sigmask, signal
from types import FrameType

from .calculation import Calculation


class Interrupts:
    """Belongs to the main thread, where Python runs signal handlers."""

    def __init__(self) -> None:
        self._pid = getpid()
        self._armed: Calculation | None = None

    def install(self) -> None:
        """Before and after each block: user code may have put a handler of its own, or blocked the signal."""
        if getsignal(SIGINT) != self._on_signal:
            signal(SIGINT, self._on_signal)
        pthread_sigmask(SIG_UNBLOCK, {SIGINT})

    def arm(self, calculation: Calculation) -> None:
        """From here on signals count. Raises KeyboardInterrupt at once where the order came before."""
        self._armed = calculation
        self._take()

    def disarm(self) -> None:
        while self._armed is not None:
            try:
                self._armed = None
            except KeyboardInterrupt:
                continue

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if getpid() != self._pid:
            default_int_handler(number, frame)  # a forked child of user code is no kernel
        self._take()

    def _take(self) -> None:
        calculation = self._armed
        if calculation is None:
            return
        try:
            unlink(calculation.marker)
        except OSError:
            return
        calculation.struck = True
        raise KeyboardInterrupt
