"""How a kernel that was started ahead becomes the kernel of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from json import load
from threading import Lock
from typing import Any

from . import PROTOCOL
from .facts import Facts
from .files import write_json
from .mainthread import MainThread
from .spark import SparkError
from .threads import Threads

ORDER = "claim.json"  # from the server: the session
ANSWER = "claimed.json"  # from us: whether Spark could be configured as the session asks


@dataclass(frozen=True)
class Claim:
    facts: Facts
    spark: dict[str, str]

    @classmethod
    def read(cls, directory: str, session: str) -> Claim:
        with open(f"{directory}/{ORDER}", "rb") as file:
            document: dict[str, Any] = load(file)
        return cls(Facts.of(session, document.get("facts") or {}), document.get("spark") or {})


class Waiting:
    """A kernel that waits to be claimed. The order may come twice, also from the next server; it counts once."""

    def __init__(
        self,
        directory: str,
        session: str,
        main: MainThread,
        threads: Threads,
        take: Callable[[Claim], None],
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        """take configures the process as the claim asks; it runs on the main thread and raises SparkError."""
        self._directory = directory
        self._session = session
        self._main = main
        self._threads = threads
        self._take = take
        self._send = send
        self._lock = Lock()
        self._begun = False

    def claim(self) -> None:
        """Begins the claim, on the control thread; the answer is a file, and an event says that it is there."""
        with self._lock:
            begun, self._begun = self._begun, True
        if not begun:
            self._threads.start(self._obey)

    def _obey(self) -> None:
        answer: dict[str, Any] = {"v": PROTOCOL, "ok": True}
        try:
            claim = Claim.read(self._directory, self._session)
            self._main.call(lambda: self._take(claim))
        except SparkError as error:
            answer = {"v": PROTOCOL, "ok": False, "error": {"name": error.name, "value": error.value}}
        write_json(self._directory, ANSWER, answer)
        self._send({"ev": "claimed"})
