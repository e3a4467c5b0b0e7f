"""User code runs on the main thread, and all bookkeeping elsewhere.

Python runs signal handlers on the main thread only. A handler of user code (an alarm that raises, say) may therefore
strike there at any time, but never in the threads that record what happened.
"""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable
from threading import Lock
from typing import Any, NoReturn


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.begun = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = Lock()
        self.done.acquire()

    def run(self) -> None:
        self.begun = True
        try:
            self.value = self.function()
        except BaseException as error:
            self.error = error


class MainThread:
    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call] = SimpleQueue()

    def call(self, function: Callable[[], Any]) -> Any:
        """Runs function on the main thread, from another one, after what was called before. Returns or raises as it does."""
        call = _Call(function)
        self._calls.put(call)
        call.done.acquire()
        if call.error is not None:
            raise call.error
        return call.value

    def serve(self) -> NoReturn:
        """The main thread's whole life. An exception out of nowhere, between any two steps, costs no call."""
        call: _Call | None = None
        while True:
            try:
                if call is None:
                    call = self._calls.get()
                if not call.begun:
                    call.run()
                if call.done.locked():
                    call.done.release()
                call = None
            except BaseException:  # noqa: S112 - of a user's signal handler: not ours to report
                continue
