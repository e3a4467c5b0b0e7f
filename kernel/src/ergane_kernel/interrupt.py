"""SIGINT: an order to stop raises KeyboardInterrupt in the block it names, and never in another.

The order is a file, `interrupt`, in the calculation's folder (the marker); the signal only says that there may be one.
Unlinking the file takes the order, so a signal that comes late finds none. If no file can be made, on a full disk, the
order comes by the socket and is a flag of the calculation.
"""

from __future__ import annotations

import sys

# The C functions: their wrappers in `signal` use names that user code may have broken.
from _signal import SIG_UNBLOCK, SIGINT, default_int_handler, pthread_kill, pthread_sigmask, signal
from _thread import get_ident, start_new_thread
from os import getpid, unlink
from time import sleep
from types import FrameType
from typing import Any

from .calculation import Calculation


class Interrupts:
    """Used on the main thread, where Python runs signal handlers."""

    def __init__(self) -> None:
        self._pid = getpid()
        self._armed: Calculation | None = None
        self._dropped = False  # an order was taken in code whose exceptions Python drops
        self._thread = get_ident()
        sys.unraisablehook = self._on_unraisable  # only once: user code may replace it

    def enter(self) -> None:
        """Before a block: installs our handler and unblocks the signal."""
        signal(SIGINT, self._on_signal)
        pthread_sigmask(SIG_UNBLOCK, {SIGINT})

    def arm(self, calculation: Calculation) -> None:
        """From here on signals count. Raises KeyboardInterrupt at once if the order came before."""
        self._armed = calculation
        self._take()

    def disarm(self) -> None:
        """The user's code has ended: from here on signals are ignored."""
        self._armed, self._dropped = None, False

    def leave(self) -> None:
        """After a block: a handler that it set for SIGINT must not be called between blocks."""
        self.disarm()
        signal(SIGINT, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if getpid() != self._pid:
            default_int_handler(number, frame)  # in a forked child of user code, which is no kernel
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
        calculation.raised = True
        raise KeyboardInterrupt

    def _on_unraisable(self, what: Any) -> None:
        """Repeats an order whose KeyboardInterrupt was raised in a destructor, where Python drops exceptions."""
        calculation = self._armed
        if calculation is None or not calculation.raised or what.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(what)
            return
        self._dropped = True
        start_new_thread(self._strike_again, ())

    def _strike_again(self) -> None:
        sleep(0.01)  # raised in the hook itself it would be dropped, too
        pthread_kill(self._thread, SIGINT)
