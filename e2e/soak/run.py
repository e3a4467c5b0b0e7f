"""One data dir under mixed traffic for an hour, with kills, and a look every minute at whatever could grow.

Clients start, use and end sessions, list everything, follow outputs, make and delete workgroups. Every minute all of
them come to rest and a sample is taken. The server dies every few samples (kill -9 or SIGTERM), the embedded S3 at
other times, kernels and shims all the time. At the end: what grew within the lives of processes, from life to life,
and per calculation, against the margins of verdict.py. A broken promise, or a leftover at rest, ends the run at once.

    python e2e/soak/run.py --minutes 60
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from chaos.build import build
from chaos.world import Violation, World, kill
from harness import NotInTime, wait_for
from harness.processes import processes_at
from soak.clients import REAL, Churn, Client, Dashboard, Groups, Spark, Steady
from soak.gate import Gate
from soak.samples import take
from soak.verdict import Sample, broken_bound, growth

IDLE_MINUTES = 1  # the least that there is
REST = 2000  # seconds until every client has come to rest
SETTLE = 30  # and until all that ends by itself has ended


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--real", type=int, default=0, help="sessions with Spark that live as long as the run")
    parser.add_argument("--every", type=float, default=60, help="seconds of traffic between two samples")
    parser.add_argument("--life", type=int, default=8, help="samples in the life of a server")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with everything that was started
    place = Path(tempfile.mkdtemp(prefix="ergane-soak-"))
    ok = Soak(args, place).all()
    if ok:
        shutil.rmtree(place)
    else:
        print(f"server, log and sessions are kept in {place}")
    return 0 if ok else 1


class Soak:
    def __init__(self, args: argparse.Namespace, place: Path) -> None:
        self.args = args
        self.dice = random.Random(args.seed)
        self.tmp = place / "tmp"
        self.tmp.mkdir()
        self.tmp.chmod(0o1777)
        binary, env = build()
        env |= {"ERGANE_CHAOS_REAL": REAL, "TMPDIR": str(self.tmp)}
        self.world = World(place, binary=binary, env=env)
        self.gate = Gate()
        self.done: Counter[str] = Counter()
        kinds = [Steady, Steady, Churn, Churn, Groups, Dashboard, *[Spark] * args.real]
        if args.real:
            self.world.call("create_work_group", Name=REAL)
        self.clients = [
            kind(self.world, self.gate, self.done, f"{args.seed}/{n} {kind.__name__}") for n, kind in enumerate(kinds)
        ]
        self.idler = Client(self.world, self.gate, self.done, f"{args.seed}/idle")
        self.errors: list[BaseException] = []
        self.failed = threading.Event()
        self.samples: list = []
        self.begun = time.monotonic()

    def all(self) -> bool:
        print(f"soak: {self.args.minutes:g} minutes from seed {self.args.seed}", flush=True)
        threads = [threading.Thread(target=self.guarded, args=(client.run,), daemon=True) for client in self.clients]
        self.gate.close(1)
        for t in threads:
            t.start()
        try:
            while self.minutes() < self.args.minutes:
                self.cycle(len(self.samples))
            self.end(threads)
        except Violation as e:
            print(f"BROKEN after {self.minutes():.1f} minutes: {e}", flush=True)
            return False
        finally:
            self.gate.end()
            for pid in processes_at(self.world.server.data_dir):
                kill(pid)
        return self.judge()

    def guarded(self, work) -> None:
        try:
            work()
        except BaseException as e:  # raised again by the main thread
            self.errors.append(e)
            self.failed.set()

    def check(self) -> None:
        if self.errors:
            raise self.errors[0]

    def minutes(self) -> float:
        return (time.monotonic() - self.begun) / 60

    def cycle(self, n: int) -> None:
        """Traffic, with what happens in it, until it comes to rest and a sample is taken."""
        self.gate.open()
        idle = ""
        if self.args.every >= 60 * IDLE_MINUTES:
            idle = self.idler.session(SessionIdleTimeoutInMinutes=IDLE_MINUTES)
        at = time.monotonic() + self.args.every
        self.wait(self.dice.uniform(0.2, 0.7) * self.args.every)
        if n % self.args.life == 2:
            self.server_dies()
        if n % 7 == 3:
            self.s3_dies()
        self.wait(at - time.monotonic())
        if idle:
            self.idler.gone(idle)
            self.done["idle timeouts"] += 1
        self.gate.close(REST)
        self.check()
        self.sample()

    def wait(self, seconds: float) -> None:
        """Let the clients work for a while, or until one of them has failed."""
        self.failed.wait(seconds)
        self.check()

    def server_dies(self) -> None:
        if self.dice.random() < 0.7:
            self.world.server.kill()
            self.done["kills of the server"] += 1
        else:
            if (status := self.world.server.stop()) != 0:
                raise Violation("stop", f"the server ended with {status} at SIGTERM")
            self.done["stops of the server"] += 1
        time.sleep(self.dice.uniform(0, 1))
        self.world.start()

    def s3_dies(self) -> None:
        kill(self.world.s3_pid())
        self.done["kills of S3"] += 1

    def sample(self) -> None:
        world = self.world
        lasting = {f"{type(c).__name__} {n}": c.sid for n, c in enumerate(self.clients) if getattr(c, "sid", "")}

        def look() -> Sample:
            figures = take(world, self.tmp, lasting, self.calculations())
            lives = {"server": world.server.pid, "s3": world.s3_pid() or 0}
            deaths = self.done["kills of the server"] + self.done["stops of the server"]
            now = Sample(self.minutes(), lives, deaths, figures)
            if wrong := broken_bound(now):
                raise Violation("orphan", wrong)
            return now

        try:
            now = wait_for("server at rest", look, SETTLE, 0.5, despite=(Violation,))
        except NotInTime as e:
            raise Violation("orphan", str(e)) from e
        self.samples.append(now)
        self.say(now.figures)

    def say(self, figures: dict[str, float]) -> None:
        short = {k: v for k, v in figures.items() if v and not k.startswith("Steady 1") and "RSS" not in k}
        done = ", ".join(f"{what} {n}" for what, n in sorted(self.done.items()))
        text = "; ".join(f"{what} {value:.4g}" for what, value in short.items())
        print(f"{self.minutes():6.1f} min: {text} | {done}", flush=True)

    def end(self, threads: list[threading.Thread]) -> None:
        """All sessions end well, and the server; nothing runs after it."""
        self.gate.end()
        for t in threads:
            t.join()
        self.check()
        for sid in list(self.world.sessions):
            self.world.call("terminate_session", SessionId=sid)
            self.idler.gone(sid)
        if (status := self.world.server.stop()) != 0:
            raise Violation("stop", f"the server ended with {status} at SIGTERM")
        self.world.await_("end of all processes", lambda: not processes_at(self.world.server.data_dir), SETTLE)

    def calculations(self) -> int:
        return sum(self.done[state] for state in ("COMPLETED", "FAILED", "CANCELED", "with Spark"))

    def judge(self) -> bool:
        found = growth(self.samples, self.minutes())
        for g in found:
            print(g)
        grew = [g.what for g in found if g.too_much]
        what = f"{self.calculations()} calculations, {self.done['sessions']} sessions, {len(self.samples)} samples"
        print(
            f"soak: {self.minutes():.0f} minutes, {what}: " + (f"grew: {'; '.join(grew)}" if grew else "nothing grew")
        )
        return not grew


if __name__ == "__main__":
    sys.exit(main())
