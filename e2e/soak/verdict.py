"""What has grown that must not: the margins, and why they are what they are."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from soak.samples import Figures

# What may be there at each sample, at most: all of it is cleared up before a server is at rest.
BOUNDS: dict[str, float] = {
    "processes of nobody": 0,
    "zombies of the server": 0,
    "mounts left": 0,
    "scratch files": 0,
    "temporary files": 0,
    "work folders left": 0,
    "rows of nothing": 0,
    "codes per calculation": 1,
    "executors per session": 2,  # a coordinator and a gateway
    "lasting tokens per thing": 1,  # the client's own
    "tokens past their time": 100,  # each call that brings tokens clears a few
    "workgroups": 2,  # primary, and that of the sessions with Spark
}

# By how much the last third of a life may be above its second third: a part of it, and so much more.
# The first third is not looked at: caches fill, pools grow to the traffic.
MARGINS: dict[str, tuple[float, float]] = {
    "goroutines": (0, 40),  # connections from clients and to S3, as many as were once needed at the same time
    "fds": (0, 20),  # the same
    "threads": (0, 10),  # Go keeps a thread for each system call that blocked at the same time
    "heap MB": (0.1, 4),  # one collection more or less
    "PSS MB": (0.1, 12),  # Go gives memory back late, and takes some for what it does at once
    "jvm threads": (0.1, 50),  # Spark's pools grow to what was once needed
    "jvm fds": (0.1, 50),
    "jvm PSS MB": (0.25, 150),  # Java takes its heap, 1 GiB, before it collects much
    "other processes": (0, 4),  # Python's workers of Spark come and go
    "folder files": (0, 30),  # each death of a server leaves the files of a calculation
    "folder files with Spark": (0, 200),  # it removes a shuffle's files after Java has collected its object
    "disk MB": (0.1, 4),
    "files per ended session": (0.05, 0),
    "stored files per calculation": (0.05, 0.1),
    "WAL MB": (0.5, 8),  # SQLite uses it again once all of it is in the database
    "database KB per calculation": (0.1, 0.2),
    "passing tokens": (0.25, 500),  # those of a quarter of an hour
}
LEAST = 6  # samples of a life that is judged
LIVES = 4  # of them before the later are compared with the earlier
# Minutes of a run before which a figure says nothing: while caches fill, all of them grow.
NEEDS: dict[str, float] = {"heap MB": 5, "PSS MB": 5, "disk MB": 5, "WAL MB": 5, "database KB per calculation": 20}
NEEDS |= {"passing tokens": 45, "files per ended session": 5, "stored files per calculation": 5}


@dataclass
class Sample:
    minute: float
    lives: dict[str, int]  # "server" and "s3": which process it is, others live as long as the run
    deaths: int  # of the server until now
    figures: Figures


def broken_bound(sample: Sample) -> str | None:
    """What of a sample is more than can be at rest."""
    for what, value in sample.figures.items():
        bound = BOUNDS.get(what)
        if what.endswith("calculations' folders"):
            # The last one's; one is left over by each server that died before it had removed it.
            bound = 2 + sample.deaths
        if bound is not None and value > bound:
            return f"{what}: {value:g}, and at most {bound:g} may be there"
    return None


@dataclass
class Growth:
    what: str
    before: float
    after: float
    margin: float

    @property
    def too_much(self) -> bool:
        return self.after > self.before + self.margin

    def __str__(self) -> str:
        mark = "GREW" if self.too_much else "ok"
        return f"{self.what:46} {self.before:10.1f} → {self.after:10.1f}  (up to +{self.margin:.1f})  {mark}"


def growth(samples: list[Sample], minutes: float) -> list[Growth]:
    """Every figure that has a margin and was seen for long enough."""
    found = []
    names = {what for s in samples for what in s.figures}
    for what in sorted(names):
        kind = max((k for k in MARGINS if what.endswith(k)), key=len, default=None)
        if kind is None or minutes < NEEDS.get(kind, NEEDS.get(kind.removeprefix("jvm "), 0)):
            continue
        lives = lives_of(samples, what)
        pairs = [thirds(life) for life in lives if len(life) >= LEAST]
        if pairs:  # what leaks does so in each life
            found.append(judged(f"{what}, within a life", kind, *map(statistics.median, zip(*pairs, strict=True))))
        if len(pairs) >= LIVES:
            found.append(judged(f"{what}, from life to life", kind, *thirds([late for _, late in pairs])))
    return found


def lives_of(samples: list[Sample], what: str) -> list[list[float]]:
    lives: dict[int, list[float]] = {}
    for s in samples:
        if what in s.figures:
            lives.setdefault(s.lives.get(what.split()[0], 0), []).append(s.figures[what])
    return list(lives.values())


def thirds(values: list[float]) -> tuple[float, float]:
    """The means of the second and of the last third."""
    n = len(values) // 3
    return statistics.mean(values[-2 * n : -n]), statistics.mean(values[-n:])


def judged(what: str, kind: str, before: float, after: float) -> Growth:
    part, more = MARGINS[kind]
    return Growth(what, before, after, part * before + more)
