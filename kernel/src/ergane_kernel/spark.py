"""Spark for user code: the globals `spark` and `sc`."""

from __future__ import annotations

import sys
from os import environ
from types import SimpleNamespace
from typing import Any

from .addedfiles import forget_failed_files
from .calculation import Calculation
from .driver import Driver, DriverError

WAREHOUSE = "spark.sql.warehouse.dir"

# How long a JVM that closed a connection during a call may take to end.
DEATH_SECONDS = 3.0


class SparkError(Exception):
    """Spark could not be started; name and value are those of Spark's exception, name is empty if the driver died."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name}: {value}" if name else value)
        self.name = name
        self.value = value


class Spark:
    """Used on the main thread only, whose calls one thread of the JVM serves: job groups belong to that thread."""

    def __init__(self, driver: Driver, conf: dict[str, str]) -> None:
        self._driver = driver
        self._conf = conf
        self._context: Any = None  # the class pyspark.SparkContext
        self._session: Any = None  # the class pyspark.sql.SparkSession
        self._connection: Any = None
        self._thread = 0

    def connect(self) -> None:
        """Connects to the JVM. Raises SparkError."""
        environ.setdefault("PYSPARK_PYTHON", sys.executable)  # UDFs run on the Python that pickled them
        try:
            from pyspark import SparkContext
            from pyspark.sql import SparkSession

            port, secret = self._driver.connection()
        except (ImportError, DriverError) as error:
            raise self._failure(error) from None
        self._context, self._session = SparkContext, SparkSession
        _silence()
        _share_logs()
        forget_failed_files(SparkContext)
        environ["PYSPARK_GATEWAY_PORT"], environ["PYSPARK_GATEWAY_SECRET"] = str(port), secret
        try:
            SparkContext._ensure_initialized()
        except Exception as error:
            raise self._failure(error) from None
        finally:
            del environ["PYSPARK_GATEWAY_PORT"], environ["PYSPARK_GATEWAY_SECRET"]  # not for children of user code
        self.address = (port, secret)

    def start(self) -> Any:
        """Makes the context and the session, and returns the session. Raises SparkError."""
        return self._make()

    def claim(self, conf: dict[str, str]) -> None:
        """Gives the waiting Spark, which has not been used yet, another configuration. Raises SparkError.

        What can be changed while Spark runs is changed; for anything else a new context is made in the same JVM.
        """
        changed = {key: value for key, value in conf.items() if self._conf.get(key) != value}
        same_keys, late = self._conf.keys() <= conf.keys(), _late(self._conf) and _late(conf)
        self._conf = conf
        session = self._session._instantiatedSession
        if same_keys and all(session.conf.isModifiable(key) or (late and key == WAREHOUSE) for key in changed):
            try:
                for key, value in changed.items():
                    _set(session, key, value)
            except Exception as error:
                raise self._failure(error) from None
        else:
            session.stop()
            self._make()

    def prepare(self, calculation: Calculation, namespace: dict[str, Any]) -> None:
        """Before a block: starts a stopped Spark again and puts the block's jobs into a group of their own."""
        if not self._driver.alive:
            return  # the block fails when it uses Spark
        try:
            calculation.thread = self._thread_id()  # first: a call that is begun on it must end before the next block
            context = self._context._active_spark_context
            if context is None or context._jsc is None or context._jsc.sc().isStopped():
                if context is not None:
                    context.stop()  # it was stopped in the JVM, and Python does not know
                self._remake()
            self.bind(namespace)
            self._context._active_spark_context.setJobGroup(calculation.id, f"calculation {calculation.id}", False)
        except OSError:
            pass  # the JVM is dying; the event is sent when it is dead

    def death(self, error: BaseException) -> str | None:
        """How the driver ended, if that is, or may be, why the block got the error; otherwise None."""
        cut_off = isinstance(error, Exception) and _origin(error) is None and _of_py4j(error)
        how = self._driver.end_within(DEATH_SECONDS if cut_off else 0)
        return None if how is None else f"the Spark driver {how}"

    def _make(self) -> Any:
        from pyspark import SparkConf

        late = _late(self._conf)
        conf = SparkConf()
        for key, value in self._conf.items():
            if not (late and key == WAREHOUSE):
                conf.set(key, value)
        try:
            session = self._session(self._context(conf=conf))
            session._jsparkSession.sessionState()  # reads spark.sql.*: a malformed value fails now, and not in a block
            if late:
                _set(session, WAREHOUSE, self._conf[WAREHOUSE])
            return session
        except Exception as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> SparkError:
        """Why Spark did not start: how its driver ended, if that was the reason, otherwise the error itself."""
        try:
            self._driver.raise_if_dead(0 if _origin(error) is not None else DEATH_SECONDS)
            return _sentence(error)
        except DriverError as dead:
            return SparkError("", str(dead))
        except Exception as broken:  # the JVM died while it was asked for the message
            return self._failure(broken)

    def _remake(self) -> None:
        self._stop_orphan()
        try:
            self._make()
        except SparkError as error:
            raise RuntimeError(f"Spark was stopped and could not be started again: {error}") from None

    def _stop_orphan(self) -> None:
        """Stops a context of the JVM that Python does not know: an order to stop came while it was made."""
        companion = getattr(getattr(self._context._gateway.jvm.org.apache.spark, "SparkContext$"), "MODULE$")
        active = companion.getActive()
        if active.isDefined():
            active.get().stop()

    def bind(self, namespace: dict[str, Any]) -> None:
        """Gives the block `spark` and `sc` if it has none or stopped ones; the user's own are left alone."""
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


def _late(conf: dict[str, str]) -> bool:
    """Whether Spark gets its warehouse only after its start.

    Spark opens the file system of the warehouse that it is started with. In S3 that takes a third of a second, which a
    session that does not use the warehouse need not wait for.
    """
    return conf.get(WAREHOUSE, "").startswith("s3://")


def _set(session: Any, key: str, value: str) -> None:
    """Sets a property that can be set at any time, in every place where a context made with it would have it."""
    if key == WAREHOUSE:  # which its users may not set
        session._jsparkSession.sessionState().conf().setConfString(key, value)
    else:
        session.conf.set(key, value)  # first: it refuses malformed values
    session.sparkContext._conf.set(key, value)
    session._jsparkSession.sharedState().conf().set(key, value)  # for further sessions


def _silence() -> None:
    """Switches off two things that the libraries do and that would disturb user code."""
    import py4j.java_gateway
    import pyspark.context

    # An interrupted call is logged through the root logger, which installs a handler on the user's stderr.
    py4j.java_gateway.logging = py4j.java_gateway.logger
    # A new context takes over SIGINT, to cancel all jobs: our interrupts do that, and for the right block.
    pyspark.context.signal = SimpleNamespace(SIGINT=None, signal=lambda *_: None)


def _share_logs() -> None:
    """Makes functions that use a logger work on workers, which do not have this package."""
    from pyspark.cloudpickle import register_pickle_by_value

    from . import logs

    register_pickle_by_value(logs)


def _origin(error: BaseException) -> Any:
    """The JVM's exception from which py4j or PySpark made the error; None if it is Python's own."""
    return getattr(error, "java_exception", None) or getattr(error, "_origin", None)


def _of_py4j(error: BaseException) -> bool:
    """Whether a call to the JVM raised it, as opposed to the user's own code."""
    trace = error.__traceback__
    while trace is not None:
        if "/py4j/" in trace.tb_frame.f_code.co_filename:
            return True
        trace = trace.tb_next
    return False


def _sentence(error: BaseException) -> SparkError:
    java = _origin(error)
    if java is None:
        return SparkError(type(error).__name__, str(error))
    while (cause := java.getCause()) is not None and cause.getMessage():
        java = cause  # the outer ones are about Spark's internals: "Error while instantiating ..."
    return SparkError(java.getClass().getSimpleName(), str(java.getMessage()))
