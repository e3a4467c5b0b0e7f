"""Kill the server, or a shim, at every single step of its way, and see that nothing was lost.

Each point is a call by which a server reaches something that outlives it, and the server is killed before or after it:
once, and a second time by the same step of the server that recovers. A point that nothing comes to ends the run, too.

    python e2e/chaos/points.py                 all of them: five minutes
    python e2e/chaos/points.py POINT ...       these
    python e2e/chaos/points.py --every 4       each fourth
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from chaos.build import build
from chaos.check import check
from chaos.plan import Work
from chaos.world import Violation, World
from harness import NotInTime, wait_for
from harness.processes import processes_at
from harness.sessions import ready_kernels

RUNS = Work(fresh=True, size=3000, seconds=0.05)  # long enough to be shown RUNNING
STOPS = Work(fresh=True, loops=True, size=3000, stop=0.1)
ENDS = Work(fresh=True, loops=True, size=3000, terminate=0.1)

# What is done for each call, and of several such calls the one that is meant.
CALLS = {
    **dict.fromkeys(("CreateSession", "SaveExecutors", "SaveExecutors:2", "SaveExecutors:3", "Start", "Ready"), RUNS),
    **dict.fromkeys(("Claim", "MoveSession.IDLE", "Submit", "Exec", "MoveCalculation.RUNNING", "Wait"), RUNS),
    **dict.fromkeys(("Put", "Put:2", "Put:3", "Settle", "Release"), RUNS),
    **dict.fromkeys(("MoveCalculation.CANCELING", "Interrupt"), STOPS),
    **dict.fromkeys(("MoveSession.TERMINATING", "Shutdown", "EndExecutors"), ENDS),
    **dict.fromkeys(("MoveSession.TERMINATED", "Discard"), ENDS),
}
# Those of a session that takes a kernel which waits.
POOLED = ("CreateSession", "Claim", "SaveExecutors", "MoveSession.IDLE", "Submit", "Settle")
SHIM = {"shim.spawned": RUNS, "shim.recorded": RUNS, "shim.reaped": ENDS, "shim.exited": ENDS}
REACHED = 200  # seconds
AGAIN = 1.5  # until a server that recovers has come to the same step again, if it comes there


def points() -> list[tuple[str, Work, bool]]:
    """Every point, what is done to come to it, and whether there is a pool."""
    found = []
    for call, work in CALLS.items():
        name, _, nth = call.partition(":")
        for when in ("before", "after"):
            point = f"{name}.{when}" + (f":{nth}" if nth else "")
            found.append((point, work, False))
            if call in POOLED:
                found.append((point, work, True))
    return found + [(point, work, False) for point, work in SHIM.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("point", nargs="*", help="Settle.before, Put.after:2, ...; default: all")
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    binary, env = build()
    place = Path(tempfile.mkdtemp(prefix="ergane-points-"))
    world = World(place, binary=binary, env=env)
    begun, done = time.monotonic(), 0
    try:
        for n, (point, work, pool) in enumerate(points()):
            if n % args.every or (args.point and point not in args.point):
                continue
            try:
                visit(world, point, work, pool, random.Random(n))
            except Violation as e:
                print(f"BROKEN at {point}{' with a pool' if pool else ''}: {e}; all is kept in {place}", flush=True)
                return 1
            done += 1
        arm(world, "", pool=False)
        for session in list(world.sessions.values()):
            world.terminate(session)
        check(world, [])
    finally:
        for pid in processes_at(world.server.data_dir):
            os.kill(pid, 9)
    shutil.rmtree(place)
    print(f"{done} points in {time.monotonic() - begun:.0f} s, each reached, twice where it could be; nothing was lost")
    return 0


def visit(world: World, point: str, work: Work, pool: bool, dice: random.Random) -> None:
    slot = world.slots[0]
    slot.events, slot.calculation = {}, None
    arm(world, point, pool)
    if pool:
        world.await_("kernel that waits", lambda: ready_kernels(world.server), 30)
    errors: list[BaseException] = []

    def play() -> None:
        try:
            world.play(slot, work, dice)
        except BaseException as e:
            errors.append(e)

    client = threading.Thread(target=play)
    if point.startswith("shim."):
        client.start()
        client.join(REACHED)
        for session in world.sessions.values():
            world.mark_hit(session.id)
    else:
        client.start()
        world.await_(f"end of the server at {point}", lambda: world.server.down, REACHED)
        if not pool:
            world.server.launch()  # armed as it was: where the step comes again, it dies again
            try:
                wait_for("second death", lambda: world.server.down, AGAIN)
            except NotInTime:
                world.server.kill()
        arm(world, "", pool)
    client.join(900)
    if errors:
        raise errors[0]
    if client.is_alive():
        raise Violation("stuck", f"the client at {point} has no answer")
    if point.startswith("shim."):
        arm(world, "", pool)
    check(world, [c for c in [slot.calculation] if c is not None])


def arm(world: World, point: str, pool: bool) -> None:
    """Starts a server that kills itself at the point."""
    if not world.server.down:
        world.server.kill()
    world.server.more_env["ERGANE_CRASH"] = point
    world.keep_waiting(1 if pool else 0)
    world.server.launch()
    if not point:
        world.server.await_ready()
        return
    line = world.server.process.stdout.readline()  # it may die before it is ready
    if not line and not world.server.down:
        raise Violation("stuck", f"the server does not start: {world.server.log.read_text()[-1000:]}")


if __name__ == "__main__":
    sys.exit(main())
