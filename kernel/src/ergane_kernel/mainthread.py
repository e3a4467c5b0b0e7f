"""User code runs on the main thread, and all bookkeeping elsewhere.

Python runs signal handlers on the main thread only. A handler of user code (for instance an alarm that raises) may
therefore raise there at any time, but never in the threads that record what happened.
"""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable
from typing import Any, NoReturn

from .threads import Latch


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.begun = False
        self.value: Any = None
        # Stays if an exception is raised between begin and end, outside of function.
        self.error: BaseException | None = RuntimeError("a signal handler raised outside of the block")
        self.done = Latch()

    def run(self) -> None:
        self.begun = True
        try:
            self.value = self.function()
            self.error = None
        except BaseException as error:
            self.error = error


class MainThread:
    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call] = SimpleQueue()

    def call(self, function: Callable[[], Any]) -> Any:
        """Runs function on the main thread, from another one. Returns what function returns, raises what it raises."""
        call = self.post(function)
        call.done.wait()
        if call.error is not None:
            raise call.error
        return call.value

    def post(self, function: Callable[[], Any]) -> _Call:
        """Like call, without waiting."""
        call = _Call(function)
        self._calls.put(call)
        return call

    def serve(self) -> NoReturn:
        """Runs the main thread until the end. An exception of a signal handler between two steps loses no call."""
        call: _Call | None = None
        while True:
            try:
                if call is None:
                    call = self._calls.get()
                if not call.begun:
                    call.run()
                call.done.set()
                call = None
            except BaseException:
                continue  # from a user's signal handler: we do not report it
