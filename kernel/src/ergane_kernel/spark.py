"""Spark as user code sees it: the globals `spark` and `sc`."""

from __future__ import annotations

import sys
from os import environ
from types import SimpleNamespace
from typing import Any

from .addedfiles import forget_failed_files
from .calculation import Calculation
from .driver import Driver, DriverError


class SparkError(Exception):
    """Spark could not be started; name and value are of Spark's own exception."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name}: {value}")
        self.name = name
        self.value = value


class Spark:
    """Used on the main thread, whose calls one thread of the JVM serves: job groups belong to that thread."""

    def __init__(self, driver: Driver, conf: dict[str, str]) -> None:
        self._driver = driver
        self._conf = conf
        self._context: Any = None  # the class pyspark.SparkContext
        self._session: Any = None  # the class pyspark.sql.SparkSession
        self._connection: Any = None
        self._thread = 0

    def start(self, namespace: dict[str, Any]) -> dict[str, str]:
        """Connects to the JVM and makes the context and the session. Raises SparkError."""
        environ.setdefault("PYSPARK_PYTHON", sys.executable)  # UDFs run on the Python that pickled them
        try:
            from pyspark import SparkContext
            from pyspark.sql import SparkSession

            port, secret = self._driver.connection()
        except (ImportError, DriverError) as error:
            raise SparkError(type(error).__name__, str(error)) from None
        self._context, self._session = SparkContext, SparkSession
        _silence()
        _share_logs()
        forget_failed_files(SparkContext)
        environ["PYSPARK_GATEWAY_PORT"], environ["PYSPARK_GATEWAY_SECRET"] = str(port), secret
        try:
            SparkContext._ensure_initialized()
        finally:
            del environ["PYSPARK_GATEWAY_PORT"], environ["PYSPARK_GATEWAY_SECRET"]  # not for the children of user code
        self.address = (port, secret)
        session = self._make()
        self._bind(namespace)
        return {"version": session.version, "app_id": session.sparkContext.applicationId}

    def prepare(self, calculation: Calculation, namespace: dict[str, Any]) -> None:
        """Before a block: makes a stopped Spark anew and puts the block's jobs into a group of their own."""
        if not self._driver.alive:
            return  # the block's own use of Spark will tell
        try:
            context = self._context._active_spark_context
            if context is None or context._jsc is None or context._jsc.sc().isStopped():
                if context is not None:
                    context.stop()  # it was stopped behind Python's back
                self._remake()
            self._bind(namespace)
            self._context._active_spark_context.setJobGroup(calculation.id, f"calculation {calculation.id}", False)
            calculation.thread = self._thread_id()
        except OSError:
            pass  # the JVM is dying; the event comes when it is dead

    def _make(self) -> Any:
        from pyspark import SparkConf

        conf = SparkConf()
        for key, value in self._conf.items():
            conf.set(key, value)
        try:
            session = self._session(self._context(conf=conf))
            session._jsparkSession.sessionState()  # reads spark.sql.*: a malformed value shows now, not in a block
            return session
        except Exception as error:
            raise _sentence(error) from None

    def _remake(self) -> None:
        try:
            self._make()
        except SparkError as error:
            raise RuntimeError(f"Spark was stopped and could not be started again: {error}") from None

    def _bind(self, namespace: dict[str, Any]) -> None:
        """Gives the block `spark` and `sc`, where it has none or stopped ones; its own are left alone."""
        active = self._context._active_spark_context
        session = namespace.get("spark")
        if session is None or (isinstance(session, self._session) and session._sc is not active):
            namespace["spark"] = self._session.builder.getOrCreate()
        context = namespace.get("sc")
        if context is None or (isinstance(context, self._context) and context is not active):
            namespace["sc"] = active

    def _thread_id(self) -> int:
        gateway = self._context._gateway
        connection = gateway._gateway_client.get_thread_connection()
        if connection is None or connection is not self._connection:
            self._thread = int(gateway.jvm.java.lang.Thread.currentThread().getId())
            self._connection = gateway._gateway_client.get_thread_connection()
        return self._thread


def _silence() -> None:
    """Keeps two habits of the libraries away from user code."""
    import py4j.java_gateway
    import pyspark.context

    # An interrupted call is logged through the root logger, which installs a handler on the user's stderr.
    py4j.java_gateway.logging = py4j.java_gateway.logger
    # A new context takes over SIGINT, to cancel all jobs: our interrupts do that, and for the right block.
    pyspark.context.signal = SimpleNamespace(SIGINT=None, signal=lambda *_: None)


def _share_logs() -> None:
    """Lets functions that use a logger run on workers, which do not have this package."""
    from pyspark.cloudpickle import register_pickle_by_value

    from . import logs

    register_pickle_by_value(logs)


def _sentence(error: BaseException) -> SparkError:
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)  # of py4j, of PySpark
    if java is None:
        return SparkError(type(error).__name__, str(error))
    while (cause := java.getCause()) is not None and cause.getMessage():
        java = cause  # what is around it tells of Spark's own ways: "Error while instantiating ..."
    return SparkError(java.getClass().getSimpleName(), str(java.getMessage()))
