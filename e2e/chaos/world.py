"""A server, the sessions of a few clients, and everything that can be done to them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from chaos.plan import SLOTS, Plan, Work
from harness import ERGANE, LIMIT, Athena, NotInTime, Server, common_folder, wait_for
from harness.processes import alive, command_line, processes_at
from harness.sessions import family, folder, waiting_kernels

T = TypeVar("T")

NO_ANSWER = (ConnectionError, HTTPClientError)
# Seconds between two looks: many rounds wait for little.
PAUSE = 0.02
# Until S3 answers: the server starts it again.
S3_LIMIT = 30


class Violation(Exception):
    """A promise was broken."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass
class Calculation:
    sid: str
    mark: str
    work: Work
    id: str = ""
    refused: str = ""  # the submit was answered with this instead of an id
    stop_sent: bool = False

    def output(self) -> bytes:
        """All that it prints when nothing stops it."""
        line = len(self.mark) + 10
        lines = range(self.work.size // line + 1)
        return b"".join(b"%s %08d\n" % (self.mark.encode(), i) for i in lines)[: self.work.size]

    def result(self) -> dict[str, Any]:
        return {"data": {"text/plain": f"'{self.mark}'"}, "metadata": {}}


@dataclass
class Session:
    id: str
    terminate_sent: bool = False
    was_idle: bool = False


@dataclass
class Slot:
    """A client with a session of its own, and one thread in each round."""

    session: Session | None = None
    events: dict[str, threading.Event] = field(default_factory=dict)
    calculation: Calculation | None = None

    def say(self, event: str) -> None:
        self.events.setdefault(event, threading.Event()).set()


class World:
    def __init__(
        self, place: Path, real: bool = False, binary: Path = ERGANE, env: dict[str, str] | None = None
    ) -> None:
        self.place, self.real = place, real
        self.marks = common_folder() / "marks"
        self.marks.touch()
        self.marks.chmod(0o666)  # each session writes it as a user of its own
        self.server = Server(place / "data", binary)
        self.server.more_env = env or {}
        # Not the system's free ports: one of those may become another connection's own while the server is dead.
        api, s3 = free_ports()
        self.args = ["--listen", api, "--s3-listen", s3, "--max-memory", "1t", "--log-level", "INFO"]
        self.server.start(*self.args)
        self.athena = Athena(
            self.server, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=40, max_pool_connections=50
        )
        self.slots = [Slot() for _ in range(SLOTS)]
        self.sessions: dict[str, Session] = {}
        # Sessions of which something was killed, and whether they were known to have started before.
        self.hit: dict[str, bool] = {}
        self.faults: Counter[str] = Counter()

    # What clients do.

    def call(self, what: str, **kwargs: Any) -> Any:
        """Call the API; while nobody answers, again, as SDKs do."""

        def answer() -> Any:
            try:
                return getattr(self.athena.api, what)(**kwargs)
            except AssertionError as e:
                raise Violation("5xx", f"{what}: {e}") from e

        return self.await_(f"answer to {what}", answer, despite=NO_ANSWER)

    def keep_waiting(self, pool: int) -> None:
        """The next server that starts keeps so many kernels waiting for sessions."""
        self.server.args = [*self.args, "--pool", str(pool)]

    def status(self, sid: str) -> dict[str, Any]:
        return self.call("get_session_status", SessionId=sid)["Status"]

    def terminate(self, session: Session) -> None:
        session.terminate_sent = True
        self.call("terminate_session", SessionId=session.id)

    def await_(
        self,
        what: str,
        look: Callable[[], T | None],
        limit: float = LIMIT,
        despite: tuple[type[Exception], ...] = (),
    ) -> T:
        """wait_for, where what does not come is a broken promise."""
        try:
            return wait_for(what, look, limit, PAUSE, despite)
        except NotInTime as e:
            raise Violation("stuck", str(e)) from e

    def leave(self, sid: str, *states: str, limit: float = LIMIT) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            status = self.status(sid)
            return None if status["State"] in states else status

        return self.await_(f"end of {states} of session {sid}", look, limit)

    def play(self, slot: Slot, work: Work, ids: random.Random) -> None:
        """One client's part of a round."""
        if work.fresh and slot.session is not None:
            self.terminate(slot.session)
            slot.session = None
        if slot.session is None:
            token = str(uuid.UUID(int=ids.getrandbits(128)))
            slot.say("starting")
            sid = self.call(
                *("start_session",),
                WorkGroup="primary",
                EngineConfiguration={"MaxConcurrentDpus": 2},
                ClientRequestToken=token,
            )["SessionId"]
            slot.session = self.sessions[sid] = Session(sid)
            slot.say("started")
            if self.leave(sid, "CREATING")["State"] != "IDLE":
                return
            slot.session.was_idle = True
        session = slot.session
        calc = Calculation(session.id, f"m{ids.getrandbits(64):016x}", work)
        slot.calculation = calc
        token = str(uuid.UUID(int=ids.getrandbits(128)))
        slot.say("submitting")
        try:
            calc.id = self.call(
                *("start_calculation_execution",),
                SessionId=session.id,
                CodeBlock=self.code(calc),
                ClientRequestToken=token,
            )["CalculationExecutionId"]
        except ClientError as e:
            calc.refused = str(e)
            return
        slot.say("submitted")
        if work.stop is not None:
            time.sleep(work.stop)
            slot.say("stopping")
            calc.stop_sent = True
            self.call("stop_calculation_execution", CalculationExecutionId=calc.id)
        if work.terminate is not None:
            time.sleep(work.terminate)
            slot.say("terminating")
            self.terminate(session)

    def code(self, calc: Calculation) -> str:
        half, size, work = calc.work.size // 2, calc.work.size, calc.work
        pause = 3600.0 if work.loops else work.seconds
        if not self.real:
            return "\n".join(
                [
                    f"append {self.marks} {calc.mark}",
                    f"fill 0 {half} {calc.mark}",
                    f"sleep {pause}s",
                    f"fill {half} {size} {calc.mark}",
                    f"output {json.dumps(calc.result())}",
                ]
            )
        return f"""
import os, sys, time
fd = os.open({str(self.marks)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
os.write(fd, b"{calc.mark}\\n")
os.fsync(fd)
os.close(fd)
whole = "".join("{calc.mark} %08d\\n" % i for i in range({size} // {len(calc.mark) + 10} + 1))[:{size}]
_ = sys.stdout.write(whole[:{half}])
{"assert spark.range(1000).count() == 1000" if work.spark else ""}
end = time.monotonic() + {pause}
while time.monotonic() < end:
    time.sleep(min(0.01, max(0, end - time.monotonic())))
_ = sys.stdout.write(whole[{half}:])
"{calc.mark}"
"""

    # What is done to them.

    def strike(self, plan: Plan) -> None:
        """Wait for the plan's moment and do what it says; the server is up again when this returns."""
        slot = self.slots[plan.slot]
        # Where the slot never comes there, because its session ended, the moment is some other one.
        slot.events.setdefault(plan.event, threading.Event()).wait(10 if self.real else 3)
        time.sleep(plan.delay)
        hung: list[Hung] = []
        for n, fault in enumerate(plan.faults):
            if n > 0:
                time.sleep(plan.between)
            if (stopped := self.inject(fault, slot, plan)) is not None:
                hung.append(stopped)
        if self.server.down:
            time.sleep(plan.outage)
            for wait in plan.recovery:
                self.server.launch()
                time.sleep(wait)
                self.server.kill()
                self.faults["server while it recovers"] += 1
                if plan.also:
                    self.inject(plan.also, slot, plan)
            self.start()
        for stopped in hung:
            stopped.join()

    def start(self) -> None:
        try:
            self.server.start()
        except AssertionError as e:
            raise Violation("stuck", f"the server does not start: {e}") from e

    def inject(self, fault: str, slot: Slot, plan: Plan) -> Hung | None:
        s3 = self.s3_pid()
        hung, hits = None, True
        match fault:
            case "server":
                if hits := not self.server.down:
                    self.server.kill()
            case "term":
                hits = not self.server.down
                if hits and (code := self.server.stop()) != 0:
                    raise Violation("stop", f"the server ended with {code} at SIGTERM")
            case "s3":
                hits = kill(s3)
            case "s3 hangs":
                hits = False
                with contextlib.suppress(ProcessLookupError):
                    hung = Hung(s3, plan.hang) if s3 is not None else None
                    hits = hung is not None
            case "shim" | "kernel" | "jvm":
                sid = self.aim(slot)
                if sid is not None:
                    self.mark_hit(sid)
                hits = sid is not None and kill(self.part(sid, fault))
            case "waiting shim" | "waiting kernel" | "waiting jvm":
                waiting = sorted(waiting_kernels(self.server))
                if waiting:
                    self.mark_hit(waiting[0])  # it may be claimed in this moment
                hits = bool(waiting) and kill(self.part(waiting[0], fault.removeprefix("waiting ")))
            case "all":
                first = processes_at(self.server.data_dir)
                if not self.server.down:
                    self.server.kill()
                for path in self.folders():  # not before: a session may have been starting
                    self.mark_hit(path.name)
                for pid in first | processes_at(self.server.data_dir):  # and what was being started
                    kill(pid)
        self.faults[fault if hits else "nothing was there to kill"] += 1
        return hung

    def mark_hit(self, sid: str) -> None:
        session = self.sessions.get(sid)
        self.hit[sid] = self.hit.get(sid, False) or (session is not None and session.was_idle)

    def aim(self, slot: Slot) -> str | None:
        """The slot's session, or the newest there is while its id is not known."""
        if slot.session is not None:
            return slot.session.id
        with contextlib.suppress(FileNotFoundError):
            return max((p.name for p in (self.server.data_dir / "sessions").iterdir()), default=None)
        return None

    def part(self, sid: str, kind: str) -> int | None:
        handle = folder(self.server, sid) / "handle.json"
        if kind == "shim":
            return self.handle(handle, "shim_pid", "shim_start")
        if kind == "kernel":
            return self.handle(handle, "pid", "start")
        return self.driver(sid)

    def driver(self, sid: str) -> int | None:
        for pid in family(self.server, sid):
            if b"SparkSubmit" in command_line(pid):
                return pid
        return None

    def s3_pid(self) -> int | None:
        return self.handle(self.server.data_dir / "s3.json", "pid", "start")

    def handle(self, path: Path, pid: str, start: str) -> int | None:
        """The process that a handle names, if it is still that one and not another with its number."""
        try:
            named = json.loads(path.read_text())
            stat = Path(f"/proc/{named[pid]}/stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError, KeyError):
            return None
        return named[pid] if int(stat[19]) == named[start] and alive(named[pid]) else None

    def lives(self, sid: str) -> bool:
        """Whether the kernel lives, and its shim: without that it is about to die."""
        return self.part(sid, "kernel") is not None and self.part(sid, "shim") is not None

    # What they leave.

    def read_marks(self) -> Counter[str]:
        return Counter(self.marks.read_text().split()) if self.marks.exists() else Counter()

    def object(self, uri: str) -> bytes:
        """An object's content, as soon as S3 is there."""

        def look() -> list[bytes]:
            try:
                return [self.athena.read(uri)]
            except ClientError as e:
                if e.response["Error"]["Code"] == "NoSuchKey":
                    raise Violation("torn", f"{uri} cannot be read: {e}") from e
                raise

        try:
            return wait_for(f"content of {uri}", look, S3_LIMIT, PAUSE, despite=(*NO_ANSWER, ClientError))[0]
        except NotInTime as e:
            raise Violation("torn", str(e)) from e

    def folders(self) -> Iterator[Path]:
        return (self.server.data_dir / "sessions").glob("*")


class Hung:
    """A process that is stopped for a while."""

    def __init__(self, pid: int, seconds: float) -> None:
        self.fd = os.pidfd_open(pid)
        self.timer = threading.Timer(seconds, self.signal, [signal.SIGCONT])
        self.signal(signal.SIGSTOP)
        self.timer.start()

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.fd, number)

    def join(self) -> None:
        self.timer.join()
        os.close(self.fd)


def kill(pid: int | None) -> bool:
    """kill -9; false when there was nothing to kill."""
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def free_ports() -> tuple[str, str]:
    found = []
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(f"127.0.0.1:{port}")
    return found[0], found[1]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
