"""The rows of the table: what is done to a peer in one repetition, and what is written down of it.

A figure is a number; what is no number is a few words, and stands in the table as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import ClientError
from ergane import Ergane, through
from jupyter import Jupyter
from peer import Client, Lost, Peer
from plain import Plain
from processes import available, descendants, end_all, pss

from harness import NotInTime, wait_for

COUNT = "print(spark.range(10).count())"
LINES = "import sys\nline = 'x' * 99 + '\\n'\nfor _ in range({n}): sys.stdout.write(line * 100)"
LOOP = "while True: pass"
# Minutes of work for any of them.
JOB = "spark.range(10 ** 13).selectExpr('sum(id % 7)').collect()"
SURVIVOR = "import time\ntime.sleep(6)\nprint('it survived')"

OPEN_LIMIT = 180
RUN_LIMIT = 120
CANCEL_LIMIT = 40
# Below this the machine would begin to kill.
SPARE = 1500  # MB

Figure = float | str
Record = Callable[[str, Figure], None]


class Bench:
    """One repetition of one peer, on a server that is new."""

    def __init__(self, peer: Peer, record: Record, short: bool) -> None:
        self.peer, self.record, self.short = peer, record, short
        self.clients: list[Client] = []

    def run(self, many: list[int]) -> None:
        """Every row; a row that breaks says so, and the next is tried."""
        try:
            self.start()
            first = self.sessions()
            if first is not None:
                self.guard("no-op", lambda: self.noops(first))
                self.guard("100 calculations", lambda: self.back_to_back(first))
                if self.peer.runs_code:
                    for megabytes in (10,) if self.short else (10, 100):
                        self.guard(f"stdout {megabytes} MB", lambda m=megabytes: self.output(first, m))
                self.guard("cancel", lambda: self.cancels(first))
            if isinstance(self.peer, Ergane) and not self.short:
                self.guard("clients", self.other_clients)
            for n in many:
                self.guard(f"{n} sessions", lambda n=n: self.at_once(n))
            if not self.short:
                self.guard("kill", self.kill)
            if isinstance(self.peer, Jupyter) and self.peer.limits and not self.short:
                self.guard("limits", lambda: self.as_installed(self.peer))
        except (Lost, AssertionError, OSError) as e:
            self.complain("start", e)
        finally:
            self.end()

    def guard(self, row: str, what: Callable[[], None]) -> None:
        try:
            what()
        except (Lost, AssertionError, OSError, KeyError) as e:
            self.complain(row, e)

    def complain(self, row: str, e: Exception) -> None:
        print(f"  {self.peer.name}: {row}: {type(e).__name__}: {e}", file=sys.stderr, flush=True)
        self.record("went wrong", f"{row}: {str(e)[:80]}")

    def theirs(self) -> set[int]:
        """The peer's own processes: all that live below us, without the clients."""
        return descendants(without=[c.process.pid for c in self.clients])

    def client(self) -> Client:
        client = self.peer.client()
        self.clients.append(client)
        return client

    def user(self) -> Client:
        """A client whose session has answered."""
        client = self.client()
        answer = client.ask("first", OPEN_LIMIT, code=COUNT)
        assert answer.get("text", "").strip() == "10", answer
        return client

    def close(self, client: Client) -> None:
        try:
            client.ask("close", 60)
        except Lost as e:
            print(f"  {self.peer.name}: a session did not close: {e}", file=sys.stderr)
        client.end()

    def start(self) -> None:
        self.peer.fresh()
        begun = time.perf_counter()
        self.peer.start()
        if self.peer.process is not None:
            self.record("server start, s", time.perf_counter() - begun)
            time.sleep(0 if self.short else 2)  # what still starts belongs to its idle weight
            self.record("server without a session, MB", pss(self.theirs()))
        self.peer.settle()
        if isinstance(self.peer, Ergane) and not self.peer.pool:
            self.record("server start with its pool full, s", time.perf_counter() - begun)
            self.record("server with its pool full, MB", pss(self.theirs()))

    def sessions(self) -> Client | None:
        """Two sessions, one after the other: the first on a new server, and one that may find something warm."""
        first = self.client()
        try:
            before = self.weight(0)
            self.count(first, "first session")
            self.peer.settle()
            with_one = self.weight(1)
            if self.short:
                return first
            second = self.client()
            self.count(second, "second session")
            self.peer.settle()
            time.sleep(0 if self.short else 1)
            with_two = self.weight(2)
        except (Lost, AssertionError) as e:
            self.complain("sessions", e)
            return None
        self.record("first session adds, MB", per_kernel(before, with_one))
        self.record("another idle session adds, MB", per_kernel(with_one, with_two))
        self.close(second)
        return first

    def weight(self, sessions: int) -> tuple[float, int]:
        """Megabytes of the peer's processes, and how many kernels they hold: sessions, and what waits for some."""
        return pss(self.theirs()), sessions + (self.peer.pooled()[0] if isinstance(self.peer, Ergane) else 0)

    def count(self, client: Client, which: str) -> None:
        answer = client.ask("first", OPEN_LIMIT, code=COUNT)
        assert answer.get("text", "").strip() == "10", answer
        self.record(f"{which}: usable, s", answer["usable"])
        self.record(f"{which}: first count answered, s", answer["seconds"])

    def noops(self, client: Client) -> None:
        n = 20 if self.short else 200
        client.ask("noops", RUN_LIMIT, n=3)  # not counted
        times = client.ask("noops", RUN_LIMIT, n=n)["times"]
        self.record("no-op p50, ms", 1000 * statistics.median(times))
        self.record("no-op p95, ms", 1000 * percentile(times, 95))

    def back_to_back(self, client: Client) -> None:
        n = 10 if self.short else 100
        seconds = client.ask("many", RUN_LIMIT, code="print(1)" if self.peer.runs_code else COUNT, n=n)["seconds"]
        self.record("100 calculations back to back, s", seconds * 100 / n)

    def output(self, client: Client, megabytes: int, how: str = "") -> None:
        row = f"{megabytes} MB of stdout{how}"
        answer = client.ask("run", RUN_LIMIT, code=LINES.format(n=100 * megabytes))
        if "bytes" not in answer:
            self.record(row, answer["error"][:60])
            return
        self.record(f"{row}, s", answer["seconds"])
        whole = answer["bytes"] == megabytes * 1_000_000
        self.record(row, "complete" if whole else f"{answer['bytes'] / 1e6:.1f} MB of {megabytes} arrive")

    def cancels(self, first: Client) -> None:
        """The job first, and in a new session if that one turned out deaf, so that it spoils no other row."""
        client = first
        for what, code in (("a Spark job", JOB), ("a loop", LOOP)):
            if what == ("a Spark job" if self.short else "a loop" if not self.peer.runs_code else ""):
                continue
            if client is None:
                client = self.user()
            answer = client.ask("cancel", CANCEL_LIMIT, code=code, after=2)
            if answer.get("seconds") is None:
                self.record(f"cancel {what}, s", answer.get("error", "not within 15 s")[:60])
                self.abandon(client)
                client = None
            else:
                self.record(f"cancel {what}, s", answer["seconds"])
        if client is not None:
            self.close(client)

    def abandon(self, client: Client) -> None:
        """End a client whose session answers no more, with what it started itself."""
        its_own = descendants(client.process.pid)
        client.end()
        end_all(its_own)

    def at_once(self, n: int) -> None:
        """So many users at the same moment, until all have the answer to their first count."""
        self.peer.settle()
        clients = [self.client() for _ in range(n)]
        row = f"{n} sessions at once"
        begun = time.perf_counter()
        for client in clients:
            client.send("first", code=COUNT)
        deadline = begun + 60 + 30 * n
        waiting, failed, spare = list(clients), 0, True
        while waiting and time.perf_counter() < deadline and (spare := available() > SPARE):
            try:
                answer = waiting[0].receive(min(2, max(0.1, deadline - time.perf_counter())))
            except Lost as e:
                if "ended" not in str(e):
                    continue  # not yet
                answer = {"text": str(e)}
            if answer.get("text", "").strip() != "10":
                failed += 1
                print(f"  {self.peer.name}: one of {n}: {answer}", file=sys.stderr)
            waiting.pop(0)
        seconds = time.perf_counter() - begun
        if waiting:
            why = "no answer in time" if spare else "no memory left"
            self.record(f"{row}, s", f"{len(waiting)} of {n}: {why}")
        elif failed:
            self.record(f"{row}, s", f"{failed} of {n} refused, the others {seconds:.1f} s")
        else:
            self.record(f"{row}, s", seconds)
            self.record(f"{row}: all processes, MB", pss(self.theirs()))
        for client in clients:
            self.abandon(client) if client in waiting else self.close(client)
        if waiting:  # what they have begun would weigh on the next row
            self.peer.stop()
            end_all(self.theirs())
            self.peer.start()

    def kill(self) -> None:
        """kill -9 of the server while a statement runs, a restart, and the user's question what became of it."""
        client = self.user()
        code = SURVIVOR if self.peer.runs_code else JOB
        # Plain PySpark has no server; what comes nearest is the Python that its user started.
        python = client.ask("call", 5, name="pid")["pid"] if isinstance(self.peer, Plain) else None
        client.send("run", code=code)
        time.sleep(2)
        begun = time.perf_counter()
        if python is None:
            self.peer.kill()
        else:
            os.kill(python, signal.SIGKILL)
        orphans = 0 if self.peer.recovers else self.orphans()
        self.peer.start()
        lost = "lost"
        try:
            answer = client.receive(30)
        except Lost as e:
            answer, lost = {"error": str(e)}, "lost; the client still waits after 30 s"
        if "text" not in answer and "lost;" not in lost:
            answer = client.ask("again", 60)
        if answer.get("text", "").strip() == "it survived":
            self.record("kill -9 of the server: the outcome", "there after a restart")
            self.record("kill -9 of the server: outcome read after, s", time.perf_counter() - begun)
        else:
            self.record("kill -9 of the server: the outcome", lost)
        left = "the session, adopted" if self.peer.recovers else f"{orphans} orphan processes" if orphans else "nothing"
        self.record("kill -9 of the server: left running", left)
        if self.peer.recovers:
            still = client.ask("run", RUN_LIMIT, code=COUNT).get("text", "").strip()
            self.record("kill -9 of the server: the session", "goes on" if still == "10" else "lost")
            self.close(client)
        else:
            self.record("kill -9 of the server: the session", "lost")
            client.end()

    def as_installed(self, peer: Jupyter) -> None:
        """What arrives of much output if nobody has lifted the limit on it."""
        peer.stop()
        end_all(self.theirs())
        limits, peer.limits = peer.limits, ()
        try:
            peer.start()
            client = self.user()
            self.output(client, 10, ", as installed")
            self.close(client)
        finally:
            peer.limits = limits

    def orphans(self) -> int:
        """How many processes are left of a killed server, once those that notice it have had ten seconds to end."""
        with contextlib.suppress(NotInTime):
            wait_for("end of the server's processes", lambda: not self.theirs(), 10)
        return len(self.theirs())

    def other_clients(self) -> None:
        """Unmodified clients with polls of their own, and a dashboard beside one."""
        assert isinstance(self.peer, Ergane)
        for other in through(self.peer, self.peer.cache):
            client = other.client()
            self.clients.append(client)
            self.peer.settle()
            answer = client.ask("first", OPEN_LIMIT, code=COUNT)
            assert "10" in answer.get("text", ""), answer
            self.record(f"{other.title}: StartSession to IDLE, s", answer["usable"])
            self.record(f"{other.title}: … to the first count read, s", answer["seconds"])
            times = client.ask("noops", RUN_LIMIT, n=50 if other.name == "pyathena" else 5)["times"]
            self.record(f"{other.title}: `pass`, p50, ms", 1000 * statistics.median(times))
            self.close(client)
        user, dashboard = self.user(), self.user()
        sid = dashboard.ask("call", 5, name="session_id")["sid"]
        dashboard.send("call", name="dashboard", sid=sid, seconds=5, per_second=500)
        times = user.ask("noops", RUN_LIMIT, n=100)["times"]
        reads = dashboard.receive(60)
        self.record("beside a dashboard: no-op p50, ms", 1000 * statistics.median(times))
        self.record("the dashboard: status reads a second", reads["rate"])
        self.record("the dashboard: read p50, ms", 1000 * statistics.median(reads["times"]))
        self.record("the dashboard: read p99, ms", 1000 * percentile(reads["times"], 99))
        for client in (user, dashboard):
            self.close(client)

    def end(self) -> None:
        """Stop the server; whatever of it still lives after that is ended here."""
        for client in self.clients:
            client.end()
        try:
            self.peer.stop()
        except (Lost, OSError, ClientError) as e:
            self.complain("stop", e)
        end_all(descendants())


def per_kernel(before: tuple[float, int], after: tuple[float, int]) -> float:
    """What one more adds: a pool may have grown meanwhile."""
    return (after[0] - before[0]) / (after[1] - before[1])


def percentile(values: list[float], p: float) -> float:
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def version_of(peer: Peer) -> str:
    """What is installed for a peer, by its own packages."""
    found = []
    packages = next((peer.home / "venv").glob("lib/python*/site-packages"), None) if peer.pins else None
    if packages is not None:
        for folder in sorted(Path(packages).glob("*.dist-info")):
            match = re.fullmatch(r"(jupyter_server|jupyter_enterprise_gateway|pyspark|pysail)-([\d.]+)", folder.stem)
            if match:
                found.append(f"{match[1]} {match[2]}")
    return ", ".join(found)
