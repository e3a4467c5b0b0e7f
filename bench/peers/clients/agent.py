"""A user of a peer: a process of its own that is told what to do, line by line, and holds the stopwatch itself.

A client gives serve a Session; the runner reads the figures. Libraries are imported before the first stopwatch starts,
for every client alike.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any, Protocol

# A statement that is not done so long after its cancel counts as not cancelled.
CANCEL_LIMIT = 15


class Session(Protocol):
    def open(self) -> None:
        """Start a session and wait until it has a `spark`."""

    def run(self, code: str) -> bytes:
        """Run code to its end and return what it printed; raise if it failed."""

    def noop(self) -> None:
        """The least that the session can be asked, to its end."""

    def cancel(self) -> None:
        """Stop what runs, from another thread."""

    def again(self) -> bytes:
        """After a restart of the server: what the statement printed that ran when it was killed."""

    def close(self) -> None: ...


def serve(session: Session) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is not an answer
    ops = Ops(session)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(ops, order.pop("op"))(**order)
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # a thread may hang in a statement that cannot be cancelled


class Ops:
    """What the runner may ask for; every method answers with a JSON object."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def ready(self) -> dict[str, Any]:
        return {}

    def open(self) -> dict[str, Any]:
        begun = time.perf_counter()
        self.session.open()
        return {"seconds": time.perf_counter() - begun}

    def first(self, code: str) -> dict[str, Any]:
        """From nothing to the answer of a first statement."""
        begun = time.perf_counter()
        self.session.open()
        usable = time.perf_counter() - begun
        text = self.session.run(code)
        return {"usable": usable, "seconds": time.perf_counter() - begun, "text": text[:200].decode()}

    def run(self, code: str) -> dict[str, Any]:
        begun = time.perf_counter()
        output = self.session.run(code)
        return {
            "seconds": time.perf_counter() - begun,
            "bytes": len(output),
            "text": output[:200].decode(errors="replace"),
        }

    def many(self, code: str, n: int) -> dict[str, Any]:
        begun = time.perf_counter()
        for _ in range(n):
            self.session.run(code)
        return {"seconds": time.perf_counter() - begun}

    def noops(self, n: int) -> dict[str, Any]:
        times = []
        for _ in range(n):
            begun = time.perf_counter()
            self.session.noop()
            times.append(time.perf_counter() - begun)
        return {"times": times}

    def cancel(self, code: str, after: float) -> dict[str, Any]:
        """Cancel a running statement; how long until the session has run another."""
        ended = threading.Event()

        def run() -> None:
            try:
                self.session.run(code)
            except Exception as e:
                print(f"cancelled: {type(e).__name__}: {e}"[:300], file=sys.stderr)
            ended.set()

        threading.Thread(target=run, daemon=True).start()
        if ended.wait(after):
            return {"error": "it ended before it was cancelled"}
        begun = time.perf_counter()
        next_one: list[float] = []

        def stop_and_go_on() -> None:
            self.session.cancel()
            if ended.wait(CANCEL_LIMIT) and self.session.run("print(spark.range(3).count())").strip() == b"3":
                next_one.append(time.perf_counter() - begun)

        went_on = threading.Thread(target=stop_and_go_on, daemon=True)
        went_on.start()
        went_on.join(CANCEL_LIMIT)
        return {"seconds": next_one[0] if next_one else None}

    def again(self) -> dict[str, Any]:
        return {"text": self.session.again()[:200].decode(errors="replace")}

    def close(self) -> dict[str, Any]:
        self.session.close()
        return {}

    def call(self, name: str, **kwargs: Any) -> dict[str, Any]:
        """What one client alone can do."""
        return getattr(self.session, name)(**kwargs)
