"""Questions and orders to the Spark driver from our threads: jobs, progress, executors.

They have a gateway of their own, whose calls time out, and get the context from the JVM: user code may have replaced,
stopped or broken what PySpark holds in this process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from json import loads
from time import monotonic
from typing import Any

from .heap import give_back

CALL_SECONDS = 5.0
PROGRESS_SECONDS = 2.0

_STREAM_WAIT = re.compile(r'"await(Any)?Termination"')


class JobsError(Exception):
    """Spark did not answer."""


class Jobs:
    """Every method may be called from any thread, and raises JobsError if Spark does not answer."""

    def __init__(self, port: int, secret: str) -> None:
        from py4j.clientserver import ClientServer, JavaParameters, PythonParameters

        self._gateway = ClientServer(
            java_parameters=JavaParameters(port=port, auth_token=secret, auto_convert=True, read_timeout=CALL_SECONDS),
            python_parameters=PythonParameters(port=0, eager_load=False),
        )
        self._jvm = self._gateway.jvm
        self._mapper: Any = None
        self._ended: dict[int, tuple[int, int]] = {}  # all and finished tasks of ended jobs, of one calculation
        self._ended_of = ""

    def cancel_active(self) -> int:
        """Cancels all jobs except those of live streaming queries. Returns how many it found."""
        with _Guard():
            context = self._context()
            if context is None:
                return 0
            active = self._ids(context.statusTracker().getActiveJobIds())
            if not active:
                return 0
            streams = self._streams()
            found = 0
            for job in active:
                if streams and self._group(context, job) in streams:
                    continue
                context.cancelJob(job)
                found += 1
            return found

    def busy(self, thread: int) -> bool:
        """Whether the JVM's thread still works on a call, although the caller may not wait for it any more.

        A call that only waits for a streaming query does not count: it starts nothing.
        """
        with _Guard():
            info = self._jvm.java.lang.management.ManagementFactory.getThreadMXBean().getThreadInfo(thread, 200)
            stack = self._json(info.getStackTrace()) if info is not None else ""
            return "py4j.commands." in stack and not _STREAM_WAIT.search(stack)

    def progress(self, calculation: str) -> tuple[int, int]:
        """The tasks of the calculation's jobs, and how many of them are done."""
        with _Guard():
            context = self._context()
            if context is None:
                return 0, 0
            if self._ended_of != calculation:
                self._ended_of, self._ended = calculation, {}
            deadline = monotonic() + PROGRESS_SECONDS
            tasks, done = 0, 0
            for job in self._ids(context.statusTracker().getJobIdsForGroup(calculation)):
                count = self._ended.get(job)
                if count is None and monotonic() < deadline:
                    count = self._job(context, job)
                if count is not None:
                    tasks, done = tasks + count[0], done + count[1]
            return tasks, done

    def executors(self) -> list[dict[str, Any]]:
        """All executors of the context, removed ones too, as the protocol has them."""
        with _Guard():
            context = self._context()
            if context is None:
                return []
            app = f"{context.applicationId()} {context.startTime()}"  # the id alone is unique only to the second
            return [
                {
                    "app": app,
                    "id": executor["id"],
                    "added_ms": executor["addTime"],
                    "removed_ms": executor.get("removeTime"),
                    "active": executor["isActive"],
                    "cores": executor["totalCores"],
                    "host_port": executor["hostPort"],
                    "removed_reason": executor.get("removeReason") or "",
                }
                for executor in loads(self._json(context.statusStore().executorList(False)))
            ]

    def give_back(self) -> None:
        """Makes the JVM return unused memory to the system; it is stopped for some tenths of a second."""
        with _Guard():
            give_back(self._gateway)

    def stop(self) -> None:
        """Stops the context in order: executors end, event logs are closed."""
        with _Guard():
            context = self._context()
            if context is not None:
                context.stop()

    def _context(self) -> Any:
        companion = getattr(getattr(self._jvm.org.apache.spark, "SparkContext$"), "MODULE$")
        active = companion.getActive()
        return active.get() if active.isDefined() else None

    def _job(self, context: Any, job: int) -> tuple[int, int]:
        data = loads(self._json(context.statusStore().job(job)))
        count = (data["numTasks"], data["numCompletedTasks"] + data["numSkippedTasks"])
        if data.get("completionTime") is not None:
            self._ended[job] = count
        return count

    def _group(self, context: Any, job: int) -> str | None:
        group: str | None = loads(self._json(context.statusStore().job(job))).get("jobGroup")
        return group

    def _streams(self) -> set[str]:
        """The runIds of live streaming queries of all sessions, which are the groups of their jobs."""
        session = self._jvm.org.apache.spark.sql.SparkSession.getDefaultSession()
        if not session.isDefined():
            return set()
        queries: Iterable[Any] = session.get().sharedState().activeStreamingQueries().values()
        return {query.runId().toString() for query in queries}

    def _ids(self, array: Any) -> list[int]:
        # Each element of a Java array costs a call: the array as text costs only one.
        return [int(number) for number in self._jvm.java.util.Arrays.toString(array).strip("[]").split(",") if number]

    def _json(self, value: Any) -> str:
        if self._mapper is None:
            jackson = self._jvm.com.fasterxml.jackson
            self._mapper = jackson.databind.ObjectMapper().registerModule(jackson.module.scala.DefaultScalaModule())
        text: str = self._mapper.writeValueAsString(value)
        return text


class _Guard:
    """Turns all errors of py4j and Java into JobsError."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, JobsError):
            raise JobsError(str(error).split("\n", 1)[0][:500] or type(error).__name__) from error
