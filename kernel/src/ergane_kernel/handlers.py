"""Functions of user code that the interpreter may call at any moment: signal handlers, and trace and profile functions.

Python calls them on the main thread whatever runs there. They are removed at a block's end and restored when the next
block's code begins: a signal in between is recorded, and handled then.
"""

from __future__ import annotations

# The C functions: user code may have broken the modules that have them.
from _signal import ITIMER_REAL, NSIG, SIGINT, getsignal, setitimer, signal
from collections.abc import Callable
from sys import getprofile, gettrace, setprofile, settrace
from types import FrameType
from typing import Any

Handler = Callable[[int, "FrameType | None"], Any]


class UserHandlers:
    """Used on the main thread only. SIGINT is not among them: it is the order to stop."""

    def __init__(self) -> None:
        self.held = True  # whether no handler of user code is called
        self._held: dict[int, Handler] = {}
        self._waiting: dict[int, Handler] = {}  # signals that came while they were held
        self._trace: Any = None
        self._profile: Any = None
        self._note = self._on_signal  # one object, so that it can be compared

    def release(self) -> None:
        """User code is about to run. Handles signals that came meanwhile, and raises what the handlers raise."""
        self.held = False
        for number, handler in list(self._held.items()):
            signal(number, handler)
            del self._held[number]
        while self._waiting:
            number = next(iter(self._waiting))
            self._waiting.pop(number)(number, None)
        trace, self._trace = self._trace, None
        profile, self._profile = self._profile, None
        if profile is not None:
            setprofile(profile)
        if trace is not None:
            settrace(trace)

    def hold(self) -> None:
        """User code has ended; its timer ends with it, so that an alarm never comes in another block.

        Until this has returned, a handler may still be called, and raise from here: then this has to be called again.
        """
        if self.held:
            return
        trace, profile = gettrace(), getprofile()
        if trace is not None:
            self._trace = trace
            settrace(None)
        if profile is not None:
            self._profile = profile
            setprofile(None)
        setitimer(ITIMER_REAL, 0)
        for number in range(1, NSIG):
            handler = getsignal(number)
            if number != SIGINT and handler is not self._note and callable(handler):
                self._held[number] = handler
                signal(number, self._note)
        self.held = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        handler = self._held.get(number)
        if handler is not None:
            self._waiting[number] = handler
