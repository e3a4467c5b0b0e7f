"""The one way to wait for something."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

# Seconds between two looks. The server holds reads of what has just begun, so a short pause costs it little.
PAUSE = 0.05
# Seconds. More than ten times what a quiet machine needs: a limit that is reached is a failure, not a figure.
LIMIT = 600

T = TypeVar("T")


class NotInTime(AssertionError):
    """What was waited for did not come."""


def wait_for(
    what: str,
    look: Callable[[], T | None],
    limit: float = LIMIT,
    pause: float = PAUSE,
    despite: tuple[type[Exception], ...] = (),
) -> T:
    """Return what look returns as soon as that is true; raise NotInTime after limit seconds.

    look is called at least once, and the last time after the limit. An exception of despite means: not yet; any
    other ends the wait.
    """
    end = time.monotonic() + limit
    while True:
        late = time.monotonic() >= end  # before the look, so that the last one is after the limit
        error: Exception | None = None
        try:
            if got := look():
                return got
        except despite as e:
            error = e
        if late:
            raise NotInTime(f"no {what} within {limit:g} s{f': {error}' if error else ''}") from error
        time.sleep(pause)
