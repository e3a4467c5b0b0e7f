"""Stops that race with the end of the code they are for: none hits the calculation after it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import Athena, Server
from harness.sessions import await_nothing_left

# `ERGANE_TEST_RACES=1000` is the long form.
ROUNDS = int(os.environ.get("ERGANE_TEST_RACES", "60"))
SESSIONS = 2
SEED = 1
STOPPED = "The calculation was stopped per request"


@pytest.fixture(scope="module")
def sessions(athena: Athena, shared_server: Server) -> Iterator[list[str]]:
    before = len(shared_server.errors())
    sids = [athena.start() for _ in range(SESSIONS)]
    for sid in sids:
        assert athena.await_session(sid)["State"] == "IDLE"
    yield sids
    for sid in sids:
        athena.terminate(sid)
        await_nothing_left(shared_server, sid)
    assert shared_server.errors()[before:] == []


def race(athena: Athena, sid: str, n: int, rng: random.Random) -> str:
    """One block that is stopped about when it ends, and the one after it; how the first ended."""
    takes = rng.random() * 0.01  # about as long as the stop takes to arrive
    first = athena.submit(sid, f"import time\ndone = None\ntime.sleep({takes})\ndone = {n}\nprint('first {n}')")
    said = athena.api.stop_calculation_execution(CalculationExecutionId=first)["State"]
    assert said in ("CANCELING", "CANCELED", "COMPLETED"), said
    got = athena.await_calculation(first)["Status"]
    assert (got["State"], got.get("StateChangeReason")) in [("COMPLETED", None), ("CANCELED", STOPPED)], got
    # What was told as the end was the end: the late part of a stop is not for this one.
    second = athena.run(sid, f"time.sleep(0.01)\nprint('second {n}', done == {n})")
    assert second.state == "COMPLETED", (n, second.reason, second.stderr)
    assert second.stdout in (f"second {n} True\n".encode(), f"second {n} False\n".encode())
    if got["State"] == "COMPLETED":
        assert second.stdout == f"second {n} True\n".encode()
    assert athena.status(sid)["State"] == "IDLE"
    return got["State"]


def test_a_stop_never_hits_the_next_calculation(athena: Athena, sessions: list[str]) -> None:
    def races(sid: str) -> list[str]:
        rng = random.Random(SEED + sessions.index(sid))
        athena.run(sid, "import time\ndone = None")  # a block may be stopped before its first line
        return [race(athena, sid, n, rng) for n in range(ROUNDS // SESSIONS)]

    with ThreadPoolExecutor(SESSIONS) as pool:
        ends = [end for part in pool.map(races, sessions) for end in part]
    assert len(ends) == ROUNDS // SESSIONS * SESSIONS
    print({state: ends.count(state) for state in set(ends)})
