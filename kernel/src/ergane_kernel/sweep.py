"""Stops what a signal to Python does not reach: Spark's jobs and the children of user code.

Cancelling a job group once is not enough: a query starts its next job, a thread pool's jobs are in no group, a write
commits after its last job. So all jobs are cancelled again and again until the block has ended and no job is left.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

from .calculation import Calculation
from .jobs import Jobs, JobsError

POLL_SECONDS = 0.05
QUIET_POLLS = 3
CHILDREN_SECONDS = 0.25
JOBS_SECONDS = 15.0  # after the block's end: then the outcome is written nevertheless
CALL_SECONDS = 5.0  # the same for a call in the JVM without a job, which nothing can stop


class Sweep:
    """Stops one calculation, from the order until nothing of it runs."""

    def __init__(self, calculation: Calculation, jobs: Jobs | None, children: Callable[[], int]) -> None:
        self._calculation = calculation
        self._jobs = jobs
        self._children = children
        self._children_at = 0.0

    def run(self) -> None:
        """Runs in a thread of its own; sets calculation.swept at the end."""
        try:
            self._stop_children()
            while not self._calculation.ended.is_set():
                self._stop_jobs()
                self._stop_children()
                self._calculation.ended.wait(POLL_SECONDS)
            self._await_quiet()
        finally:
            self._calculation.swept.set()

    def _await_quiet(self) -> None:
        ended = monotonic()
        quiet = 0
        while self._jobs is not None and monotonic() < ended + JOBS_SECONDS:
            found = self._stop_jobs()
            if found is None:
                return  # Spark has ended, and its jobs with it
            quiet = 0 if found or (monotonic() < ended + CALL_SECONDS and self._is_abandoned()) else quiet + 1
            if quiet == QUIET_POLLS:
                return
            sleep(POLL_SECONDS)

    def _stop_jobs(self) -> int | None:
        """How many jobs were found; None if Spark does not answer."""
        if self._jobs is None:
            return 0
        try:
            found = self._jobs.cancel_active()
        except JobsError:
            return None
        if found:
            self._calculation.killed = True
        return found

    def _stop_children(self) -> None:
        """Interrupts the children, and again only while Python has not taken the order: os.system prevents that."""
        first = self._children_at == 0.0
        if monotonic() < self._children_at or not (first or self._calculation.waits):
            return
        self._children_at = monotonic() + CHILDREN_SECONDS
        if self._children():
            self._calculation.killed = True

    def _is_abandoned(self) -> bool:
        """Whether the JVM still works on a call of the block, which may start another job."""
        if self._jobs is None or not self._calculation.thread:
            return False
        try:
            return self._jobs.busy(self._calculation.thread)
        except JobsError:
            return False
