"""Kill things at random moments, round after round, and see after each that nothing was lost.

The first promise that is broken ends the run with the seed of its round, which replays that round's schedule:

    python e2e/chaos/run.py --seed SEED --rounds 1
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from chaos.build import build
from chaos.check import check
from chaos.plan import draw
from chaos.world import Violation, World
from harness import ERGANE
from harness.processes import processes_at
from harness.sessions import waiting_kernels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kernels", choices=("standin", "real"), default="standin")
    parser.add_argument("--verbose", action="store_true", help="say what each round does")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with everything that was started
    real = args.kernels == "real"
    binary, env = (ERGANE, {}) if real else build()
    place = Path(tempfile.mkdtemp(prefix="ergane-chaos-"))
    ok = Run(args, World(place, real, binary, env)).all()
    if ok:
        shutil.rmtree(place)
    else:
        print(f"server, log and sessions are kept in {place}")
    return 0 if ok else 1


class Run:
    def __init__(self, args: argparse.Namespace, world: World) -> None:
        self.args, self.world = args, world
        self.states: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.settling: list[float] = []
        self.calculations = self.sessions = self.done = 0
        self.begun = time.monotonic()

    def all(self) -> bool:
        what = f"{self.args.rounds} rounds with {self.args.kernels} kernels"
        print(f"chaos: {what} from seed {self.args.seed}", flush=True)
        failed = self.args.seed
        try:
            for n in range(self.args.rounds):
                failed = self.args.seed + n
                self.round(failed)
                self.done += 1
                if self.done % 100 == 0:
                    self.report()
            self.end()
        except Violation as e:
            self.broken[e.kind] += 1
            print(f"BROKEN in the round of seed {failed}: {e}", flush=True)
        except Exception:
            print(f"the harness itself failed in the round of seed {failed}", flush=True)
            raise
        finally:
            self.kill_all()
        self.report()
        return not self.broken

    def round(self, seed: int) -> None:
        plan = draw(seed, self.world.real)
        if self.args.verbose:
            print(f"{seed}: {plan}", flush=True)
        self.world.keep_waiting(plan.pool)
        before = len(self.world.sessions)
        errors: list[BaseException] = []

        def guarded(f, *args) -> None:
            try:
                f(*args)
            except BaseException as e:  # raised again below
                errors.append(e)

        threads = [threading.Thread(target=guarded, args=(self.world.strike, plan))]
        for n, (slot, work) in enumerate(zip(self.world.slots, plan.work, strict=True)):
            slot.events, slot.calculation = {}, None
            ids = random.Random(f"{seed}/{n}")
            threads.append(threading.Thread(target=guarded, args=(self.world.play, slot, work, ids)))
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if errors:
            raise errors[0]
        began = time.monotonic()
        calcs = [s.calculation for s in self.world.slots if s.calculation is not None]
        self.sessions += max(0, len(self.world.sessions) - before)
        self.calculations += len(calcs)
        self.states += check(self.world, calcs)
        self.settling.append(time.monotonic() - began)

    def end(self) -> None:
        """Everything ends well, and nothing is left."""
        world = self.world
        for session in list(world.sessions.values()):
            world.terminate(session)
        check(world, [])
        if doubles := [m for m, n in world.read_marks().items() if n > 1]:
            raise Violation("double", f"marks {doubles}")
        world.server.kill()
        world.keep_waiting(0)
        world.start()
        world.await_("end of the kernels that waited", lambda: not waiting_kernels(world.server), 60)
        if (code := world.server.stop()) != 0:
            raise Violation("stop", f"the server ended with {code} at SIGTERM")
        left = [p for p in (world.server.data_dir / "s3").rglob(".sgwtmp/**/*") if p.is_file()]
        if left:
            raise Violation("orphan", f"of uploads are left: {left}")
        world.await_("end of all processes", lambda: not processes_at(world.server.data_dir), 20)

    def kill_all(self) -> None:
        for pid in processes_at(self.world.server.data_dir):
            os.kill(pid, 9)

    def report(self) -> None:
        kinds = ("loss", "double", "torn", "untrue", "stuck", "orphan", "5xx", "stop")
        faults = ", ".join(f"{kind} {n}" for kind, n in sorted(self.world.faults.items()))
        states = ", ".join(f"{state} {n}" for state, n in sorted(self.states.items()))
        settled = sorted(self.settling) or [0.0]
        print(
            f"{self.done} rounds in {time.monotonic() - self.begun:.0f} s; {self.calculations} calculations ({states});"
            f" faults: {faults}; all true after a round's end in {statistics.median(settled):.2f} s, at most"
            f" {settled[-1]:.2f} s; " + ", ".join(f"{kind} {self.broken[kind]}" for kind in kinds),
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
