"""The scenario of scenario.json for the clients written in Python, with the standard library alone: every client has
an environment of its own, and this is all that they share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_SCENARIO = json.loads((Path(__file__).parent / "scenario.json").read_text())

WORK_GROUP: str = _SCENARIO["work_group"]
STEPS: dict[str, str] = _SCENARIO["steps"]
CODE: dict[str, str] = _SCENARIO["code"]
EXPECT: dict[str, str] = _SCENARIO["expect"]
UNKNOWN_SESSION = "00000000-0000-7000-8000-000000000000"

# How long anything may take; only a broken run comes near it.
LIMIT = 120

T = TypeVar("T")


def version(text: str) -> None:
    """Tell the runner which client this is."""
    print(f"version {text}", flush=True)


def ok(step: str) -> None:
    """Tell the runner that a step was done and checked; it knows which ones are due."""
    print(f"ok {step}", flush=True)


def until(look: Callable[[], T | None], pause: float = 0.2) -> T:
    """Return what look returns as soon as it is not None."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        got = look()
        if got is not None:
            return got
        time.sleep(pause)
    raise AssertionError(f"nothing within {LIMIT} s")


def check(got: object, want: object) -> None:
    """As assert, but tells both sides without a test framework."""
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")
