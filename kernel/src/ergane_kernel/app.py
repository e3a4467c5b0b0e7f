"""A kernel from its first instruction to its last: puts the parts together, in the order that starts it fastest."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from os import _exit
from threading import Lock
from time import monotonic, sleep
from typing import Any, NoReturn

from . import PROTOCOL
from .boot import LOG_FD, Ahead, Boot, read_boot
from .calculation import Calculation
from .children import interrupt_children
from .claim import Claim, Waiting
from .control import Control
from .dispatcher import Dispatcher
from .driver import Driver, log_descriptor
from .facts import Session
from .files import write_json
from .jobs import Jobs, JobsError
from .logpipe import LogPipe
from .mainthread import MainThread
from .packages import Packages
from .service import Service
from .spark import Spark, SparkError
from .sweep import Sweep
from .threads import Threads

NO_SPARK_STATUS = 3
RECORD_SECONDS = 2.0
DRIVER_SECONDS = 3.0
POLL_SECONDS = 0.01


def main() -> NoReturn:
    boot = read_boot()
    os.closerange(LOG_FD + 1, 1 << 20)  # otherwise we would keep the parent's locks and sockets
    os.umask(0o077)
    tmp = f"{boot.dir}/tmp"
    os.makedirs(tmp, 0o700, exist_ok=True)
    packages = Packages(boot.dir)
    plots = "module://matplotlib_inline.backend_inline"
    os.environ.update({"TMPDIR": tmp, "MPLBACKEND": plots, "PYTHONPATH": packages.path, **boot.env})
    time.tzset()
    os.chdir(tmp)
    log = log_descriptor(LOG_FD)
    pipe = LogPipe(log)
    driver = Driver(boot.java, log, tmp) if boot.java else None
    if log == LOG_FD:
        os.close(LOG_FD)
    if driver is not None:
        pipe.driver = driver.pid
    Kernel(boot, tmp, driver, pipe, packages).run()


class Kernel:
    def __init__(self, boot: Boot, tmp: str, driver: Driver | None, log: LogPipe, packages: Packages) -> None:
        self._boot = boot
        self._tmp = tmp
        self._driver = driver
        self._log = log
        self._session = Session(boot.facts, boot.env, packages)
        self._packages = packages
        self._main = MainThread()
        self._threads = Threads(sys.stderr.fileno())
        self._dispatcher = Dispatcher(boot.dir, self._on_interrupt)
        self._service = Service(self._dispatcher, self._main, self._threads, shutdown=lambda: self._end(0))
        self._control = Control(boot.dir, boot.token, self._service.hello, self._service.handlers)
        self._namespace: dict[str, Any] = {}  # of user code
        self._spark: Spark | None = None
        self._ending = Lock()
        if driver is not None:
            self._control.watch(driver.pidfd, self._on_driver_end)

    def run(self) -> NoReturn:
        """What the main thread does: imports while the JVM starts, then Spark, then user code until the end."""
        self._threads.start(self._control.serve)
        with suppress(OSError):  # %pip tries again, and shows the error
            self._packages.make()  # before Spark's first worker, which looks only once whether it exists

        from .block import BlockRunner
        from .interrupt import Interrupts
        from .logs import make_kernels
        from .process import SharedState
        from .recorder import Recorder
        from .shell import make_shell
        from .spool import Spool

        interrupts = Interrupts()
        interrupts.enter()
        spool = Spool(self._boot.dir)
        shell = make_shell(f"{self._tmp}/.ipython", spool.stderr.write)
        loggers = make_kernels(self._log.write)
        shell.session, shell.loggers = self._session, loggers
        sys.argv = [""]
        self._namespace = shell.user_ns
        facts = None
        if self._driver is not None:
            self._spark = Spark(self._driver, self._boot.spark)
            facts = self._start(self._spark)
        runner = BlockRunner(shell, spool, interrupts, SharedState(self._tmp), self._spark, loggers)
        recorder = Recorder(self._dispatcher, self._main, runner, spool, self._control.send, self._end)
        self._threads.start(lambda: recorder.serve(self._boot.idle_seconds, self._on_idle))
        os.register_at_fork(after_in_child=self._after_fork)
        self._service.shell = shell
        if self._boot.ahead is None:
            self._open()
        else:
            names = (self._boot.dir, self._boot.facts.session)
            self._service.waiting = Waiting(*names, self._main, self._threads, self._take, self._control.send)
        write_json(self._boot.dir, "ready.json", {"v": PROTOCOL, "ok": True, "spark": facts}, durable=True)
        self._control.send({"ev": "ready"})
        self._main.serve()

    def _open(self) -> None:
        """Takes calculations from now on."""
        if self._session.facts.pip is not None:
            with suppress(OSError):
                self._packages.allow(self._session.facts.pip)
        if self._spark is not None:
            self._spark.bind(self._namespace)
        self._dispatcher.open()

    def _take(self, claim: Claim) -> None:
        """Makes this the kernel of a session, on the main thread."""
        if self._spark is not None:
            self._spark.claim(claim.spark)
        self._session.facts = claim.facts
        self._open()

    def _start(self, spark: Spark) -> dict[str, str]:
        try:
            spark.connect()
            session = spark.start()
            if self._boot.ahead is not None:
                session = self._warm(spark, session, self._boot.ahead)
        except SparkError as error:
            ready = {"v": PROTOCOL, "ok": False, "error": {"name": error.name, "value": error.value}}
            write_json(self._boot.dir, "ready.json", ready, durable=True)
            self._end(NO_SPARK_STATUS)
        self._service.jobs = Jobs(*spark.address)
        if self._boot.ahead is not None:
            self._rest()  # frees what only the warm-up needed
        return {"version": session.version, "app_id": session.sparkContext.applicationId}

    def _on_idle(self) -> None:
        self._threads.start(self._rest)

    def _warm(self, spark: Spark, session: Any, ahead: Ahead) -> Any:
        """Warms up, and makes the context that waits to be claimed; returns its Spark session."""
        from . import workers
        from .warmup import log_failure, warm_up

        kinds: list[workers.Kind] = []
        warm_up(session, ahead, self._tmp, self._log.write)
        with log_failure(self._log.write):
            kinds = workers.kinds(session)
        session.stop()
        session = spark.start()
        with log_failure(self._log.write):
            workers.start(session, kinds)
        return session

    def _rest(self) -> None:
        """Returns memory to the system, because nothing will run for some time."""
        try:
            if self._service.jobs is not None:
                self._service.jobs.give_back()
        except JobsError as error:
            self._log.write(f"ergane: the JVM returns no memory to the system: {error}\n".encode())

    def _on_interrupt(self, calculation: Calculation) -> None:
        jvm = self._driver.pid if self._driver is not None else None
        self._threads.start(Sweep(calculation, self._service.jobs, lambda: interrupt_children(jvm)).run)

    def _on_driver_end(self) -> None:
        assert self._driver is not None
        status = self._driver.status()
        if not self._ending.locked():  # otherwise we ended it ourselves
            write_json(self._boot.dir, "driver.json", {"v": PROTOCOL, **status}, durable=True)
            self._control.send({"ev": "driver"})

    def _after_fork(self) -> None:
        """In a child that user code forked: closes the descriptors that keep the JVM and the sockets alive."""
        self._control.abandon()
        if self._driver is not None:
            self._driver.abandon()

    def _end(self, status: int) -> NoReturn:
        """Ends the process, Spark first. From any thread; a second call waits for the first."""
        self._ending.acquire()
        if status == 0:
            deadline = monotonic() + RECORD_SECONDS
            while self._dispatcher.recording and monotonic() < deadline:
                sleep(POLL_SECONDS)
            self._stop_spark()
        if self._driver is not None:
            self._driver.end(DRIVER_SECONDS)
        _exit(status)

    def _stop_spark(self) -> None:
        if self._service.jobs is not None and self._driver is not None and self._driver.alive:
            try:
                self._service.jobs.stop()
            except JobsError:
                pass  # then Spark is not stopped in order
