"""What a round does, drawn from its seed alone, so that the seed replays it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

SLOTS = 3

# Where a round's first fault falls: the event that it waits for in one slot, and the delay after it.
START, STARTED, SUBMIT, SUBMITTED, END, STOP, TERMINATE = (
    *("starting", "started", "submitting", "submitted", "ending", "stopping", "terminating"),
)


@dataclass(frozen=True)
class Work:
    """What one slot does in a round: one calculation, in its session or in a new one."""

    fresh: bool = False
    loops: bool = False
    size: int = 0
    seconds: float = 0.0
    spark: bool = False
    stop: float | None = None  # seconds after the answer to the submit
    terminate: float | None = None


@dataclass(frozen=True)
class Plan:
    seed: int
    work: tuple[Work, ...]
    slot: int  # which the faults are about
    event: str
    delay: float
    faults: tuple[str, ...]
    between: float  # seconds from the first fault to the second
    outage: float  # from the last fault to the server's start
    recovery: tuple[float, ...]  # the server is killed again so long after its start
    also: str  # what dies together with the recovering server
    hang: float  # how long a stopped S3 stays so
    pool: int  # how many kernels a server that starts in this round keeps waiting

    def __str__(self) -> str:
        at = f"slot {self.slot}, {self.event} + {self.delay * 1000:.1f} ms"
        again = (
            f", again {[round(t * 1000) for t in self.recovery]} ms after a start with {self.also or 'nothing else'}"
        )
        what = f"{' and '.join(self.faults)} at {at}{again if self.recovery else ''}"
        return f"{what}; pool {self.pool}; {self.work[self.slot]}"


def draw(seed: int, real: bool) -> Plan:
    dice = random.Random(seed)
    work = [_work(dice, real) for _ in range(SLOTS)]
    slot = dice.randrange(SLOTS)
    aim = work[slot]
    event, delay = _moment(dice, aim, real)
    if event in (START, STARTED):
        aim = replace(aim, fresh=True)
    elif event == STOP and aim.stop is None:
        aim = replace(aim, stop=dice.uniform(0, 0.2), loops=dice.random() < 0.7)
    elif event == TERMINATE and aim.terminate is None:
        aim = replace(aim, terminate=dice.uniform(0, 0.2))
    work[slot] = aim
    pool = dice.choice([0, 0, 1, 2])
    faults = [_fault(dice, real, pool)]
    if dice.random() < 0.35:
        faults.append(_fault(dice, real, pool))
    recovery: Sequence[float] = ()
    if dice.random() < 0.25:
        recovery = [dice.uniform(0, 0.5) for _ in range(dice.randint(1, 2))]
    return Plan(
        seed=seed,
        work=tuple(work),
        slot=slot,
        event=event,
        delay=delay,
        faults=tuple(faults),
        between=dice.choice([0.0, dice.uniform(0, 0.02), dice.uniform(0, 0.3)]),
        outage=dice.choice([0.0, dice.uniform(0, 0.3)]),
        recovery=tuple(recovery),
        also=dice.choice(["", "", "", "kernel", "shim", "s3"]),
        hang=dice.uniform(0, 1.5),
        pool=pool,
    )


def _work(dice: random.Random, real: bool) -> Work:
    loops = dice.random() < 0.15
    terminate = dice.random() < (0.03 if real else 0.1)
    return Work(
        fresh=dice.random() < (0.02 if real else 0.15),
        loops=loops,
        size=dice.choice([0, 10, dice.randrange(5_000), dice.randrange(200_000), dice.randrange(2_000_000)]),
        seconds=dice.choice([0.0, dice.uniform(0, 0.03), dice.uniform(0, 0.3)]),
        spark=dice.random() < 0.4,
        stop=dice.uniform(0, 0.3) if dice.random() < 0.15 or (loops and not terminate) else None,
        terminate=dice.uniform(0, 0.3) if terminate else None,
    )


def _moment(dice: random.Random, aim: Work, real: bool) -> tuple[str, float]:
    events = [START, STARTED, SUBMIT, SUBMITTED, "running", END, STOP, TERMINATE]
    event = dice.choices(events, [2, 2, 4, 4, 4, 6, 3, 1] if real else [2, 2, 3, 3, 3, 4, 3, 3])[0]
    match event:
        case "starting" | "started":
            return event, dice.choice([dice.uniform(0, 0.05), dice.uniform(0, 3.0 if real else 0.3)])
        case "submitting":
            return event, dice.uniform(0, 0.015)
        case "running":
            return SUBMITTED, dice.uniform(0, aim.seconds)
        case "ending":  # spread around the end, most of it close
            late = dice.expovariate(1 / 0.01) * dice.choice([-1, 1])
            return SUBMITTED, max(0.0, aim.seconds + late)
        case "submitted":
            return event, dice.uniform(0, 0.01)
    return event, dice.choice([dice.uniform(0, 0.01), dice.uniform(0, 0.1)])


def _fault(dice: random.Random, real: bool, pool: int) -> str:
    kinds = {"server": 6, "term": 2, "shim": 2, "kernel": 2, "s3": 3, "s3 hangs": 1, "all": 1}
    if real:  # a session lost is a Spark to start
        kinds |= {"shim": 1, "kernel": 1, "jvm": 1}
    if pool:
        kinds |= {"waiting shim": 1, "waiting kernel": 1} | ({"waiting jvm": 1} if real else {})
    return dice.choices(list(kinds), list(kinds.values()))[0]
