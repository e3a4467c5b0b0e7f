"""SIGINT: an order to stop raises KeyboardInterrupt in the block it names, and never in another.

The order is a file, `interrupt`, in the calculation's folder; the signal only says that there may be one. Whoever
unlinks the file has taken the order, so a signal that comes late finds none. Where no file can be made, on a full disk,
the order comes by the socket and is a flag of the calculation's.
"""

from __future__ import annotations

import sys

# The C functions: their wrappers in `signal` lean on names that user code may have broken.
from _signal import SIG_UNBLOCK, SIGINT, default_int_handler, pthread_kill, pthread_sigmask, signal
from _thread import get_ident, start_new_thread
from os import getpid, unlink
from time import sleep
from types import FrameType
from typing import Any

from .calculation import Calculation


class Interrupts:
    """Belongs to the main thread, where Python runs signal handlers."""

    def __init__(self) -> None:
        self._pid = getpid()
        self._armed: Calculation | None = None
        self._dropped = False  # an order was taken where Python drops exceptions
        self._thread = get_ident()
        sys.unraisablehook = self._on_unraisable  # once: user code may put its own there

    def enter(self) -> None:
        """Before a block: the handler is ours, and the signal comes through."""
        signal(SIGINT, self._on_signal)
        pthread_sigmask(SIG_UNBLOCK, {SIGINT})

    def arm(self, calculation: Calculation) -> None:
        """From here on signals count. Raises KeyboardInterrupt at once where the order came before."""
        self._armed = calculation
        self._take()

    def disarm(self) -> None:
        """Code of the user's is through: from here on signals are nothing."""
        self._armed, self._dropped = None, False

    def leave(self) -> None:
        """After a block: a handler that it set for SIGINT must not be called between blocks."""
        self.disarm()
        signal(SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if getpid() != self._pid:
            default_int_handler(number, frame)  # a forked child of user code is no kernel
        self._take()

    def _take(self) -> None:
        calculation = self._armed
        if calculation is None:
            return
        if self._dropped:
            self._dropped = False
            raise KeyboardInterrupt
        if calculation.asked:
            calculation.asked = False
        else:
            try:
                unlink(calculation.marker)
            except OSError:
                return
        calculation.struck = True
        raise KeyboardInterrupt

    def _on_unraisable(self, what: Any) -> None:
        """An order that struck in a destructor, which no exception leaves, strikes again when that has ended."""
        calculation = self._armed
        if calculation is None or not calculation.struck or what.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(what)
            return
        self._dropped = True
        start_new_thread(self._strike_again, ())

    def _strike_again(self) -> None:
        sleep(0.01)  # in the hook itself it would be dropped, too
        pthread_kill(self._thread, SIGINT)
