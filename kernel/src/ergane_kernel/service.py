"""The operations of the protocol, each answered at once or from a thread that may wait."""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable
from os import getpid
from typing import TYPE_CHECKING, Any, NoReturn

from .calculation import valid_id
from .claim import Waiting
from .control import Handler, Message, Reply
from .dispatcher import Dispatcher
from .jobs import Jobs, JobsError
from .mainthread import MainThread
from .threads import Threads

if TYPE_CHECKING:
    from .shell import Shell

Question = Callable[[Message], Message]


class Service:
    """Called on the control thread, which must never wait."""

    def __init__(self, dispatcher: Dispatcher, main: MainThread, threads: Threads, shutdown: Callable[[], Any]) -> None:
        self.shell: Shell | None = None  # set by the main thread at start-up, as is jobs
        self.jobs: Jobs | None = None
        self.waiting: Waiting | None = None  # likewise, in a kernel that was started ahead
        self._dispatcher = dispatcher
        self._main = main
        self._threads = threads
        self._shutdown = shutdown
        self._questions: SimpleQueue[tuple[Question, Message, Reply]] = SimpleQueue()
        self._answering = False

    @property
    def handlers(self) -> dict[str, Handler]:
        return {
            "exec": self._exec,
            "interrupt": self._interrupt,
            "ping": self._ping,
            "claim": self._claim,
            "executors": lambda message, reply: self._ask(self._executors, message, reply),
            "progress": lambda message, reply: self._ask(self._progress, message, reply),
            "complete": lambda message, reply: self._help("completions", message, reply),
            "inspect": lambda message, reply: self._help("inspection", message, reply),
            "shutdown": self._on_shutdown,
        }

    def hello(self) -> Message:
        return {"pid": getpid(), "current": self._dispatcher.current, "ready": self._dispatcher.ready}

    def _exec(self, message: Message, reply: Reply) -> None:
        calculation = message.get("id")
        reply(self._dispatcher.execute(str(calculation)) if valid_id(calculation) else {"err": "bad id"})

    def _interrupt(self, message: Message, reply: Reply) -> None:
        calculation = str(message.get("id"))
        begun = self._dispatcher.interrupt(calculation, strike=message.get("strike") is True)
        reply({"ok": begun, "pending": self._dispatcher.pending(calculation)})

    def _ping(self, _: Message, reply: Reply) -> None:
        reply({"current": self._dispatcher.current})

    def _claim(self, _: Message, reply: Reply) -> None:
        if self.waiting is None:
            reply({"err": "not ahead"})
            return
        reply({})
        self.waiting.claim()

    def _on_shutdown(self, _: Message, reply: Reply) -> None:
        reply({})
        self._threads.start(self._shutdown)

    # ---- questions to Spark, which may answer slowly ----

    def _ask(self, question: Question, message: Message, reply: Reply) -> None:
        self._questions.put((question, message, reply))
        if not self._answering:
            self._answering = True
            self._threads.start(self._answer)

    def _answer(self) -> NoReturn:
        while True:
            question, message, reply = self._questions.get()
            reply(question(message))

    def _executors(self, _: Message) -> Message:
        if self.jobs is None:
            return {"executors": [], "error": "Spark is not there"}
        try:
            return {"executors": self.jobs.executors(), "error": ""}
        except JobsError as error:
            return {"executors": [], "error": str(error)}

    def _progress(self, message: Message) -> Message:
        try:
            tasks, done = self.jobs.progress(str(message.get("id"))) if self.jobs else (0, 0)
        except JobsError:
            tasks, done = 0, 0  # unknown; what is wrong with Spark is reported elsewhere
        return {"tasks": tasks, "done": done}

    # ---- help for an editor, from the user's objects: on the main thread, while it is free ----

    def _help(self, kind: str, message: Message, reply: Reply) -> None:
        shell, code, position = self.shell, message.get("code"), message.get("pos")
        if not isinstance(code, str) or not isinstance(position, int):
            reply({"err": "bad request"})
        elif shell is None or not self._dispatcher.free:
            reply({"err": "busy"})
        else:
            self._main.post(lambda: reply(_answer_of(getattr(shell, kind), code, position)))


def _answer_of(question: Callable[[str, int], Message], code: str, position: int) -> Message:
    try:
        return question(code, position)
    except Exception as error:
        return {"err": type(error).__name__}  # an object of the user raised it
