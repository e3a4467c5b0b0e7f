"""What a sample is: figures of the processes, the database and the files of a server at rest."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path

from chaos.world import World
from harness.metrics import scrape
from harness.processes import command_line, processes_at
from harness.sessions import family

Figures = dict[str, float]
HEAP = "go_memstats_next_gc_bytes"  # follows what lived after the last collection, and does not jump with the next
# Names of files that are put in place by a rename, and of folders for a moment.
SCRATCH = re.compile(r"^\.(keys|s3|sandbox|probe|kernel|tmp)|\.tmp$|\.sgwtmp\.\d+$|~$")


def take(world: World, tmp: Path, lasting: dict[str, str], made: int) -> Figures:
    """lasting are the sessions that live as long as the run, by what they are called; made counts calculations."""
    server = world.server
    found = processes("server", [server.pid])
    text = metrics(world)
    found["server heap MB"] = text[HEAP] / 1e6
    found["server goroutines"] = text["go_goroutines"]
    s3 = world.s3_pid()
    found |= processes("s3", [s3] if s3 else [])
    for name, sid in lasting.items():
        found |= session(world, name, sid)
    found |= leftovers(world, s3)
    found |= files(server.data_dir, tmp, set(lasting.values()))
    found |= rows(server.data_dir)
    # Also of calculations that have gone with their workgroup: their objects stay.
    found["stored files per calculation"] = found.pop("stored files") / max(1, made)
    return found


def processes(name: str, pids: list[int]) -> Figures:
    """Memory, threads and descriptors, as far as they may be looked at."""
    total = {f"{name} RSS MB": 0.0, f"{name} threads": 0.0}
    for pid in pids:
        status = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
        total[f"{name} RSS MB"] += int(status.get("VmRSS", 0)) / 1024
        total[f"{name} threads"] += int(status["Threads"])
        with contextlib.suppress(PermissionError):
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            assert found
            total[f"{name} PSS MB"] = total.get(f"{name} PSS MB", 0) + int(found[1]) / 1024
            fds = len(os.listdir(f"/proc/{pid}/fd"))
            total[f"{name} fds"] = total.get(f"{name} fds", 0) + fds
    return total


def metrics(world: World) -> Figures:
    """The samples of /metrics that have no labels."""
    lines = scrape(world.server).splitlines()
    return {m[1]: float(m[2]) for line in lines if (m := re.fullmatch(r"(\w+) (\S+)", line))}


def session(world: World, name: str, sid: str) -> Figures:
    """A session that lives as long as the run: its shim, its kernel, its driver, its folder."""
    found: Figures = {}
    kinds = {"shim": world.part(sid, "shim"), "kernel": world.part(sid, "kernel"), "jvm": world.driver(sid)}
    for kind, pid in kinds.items():
        if pid is not None:
            found |= processes(f"{name} {kind}", [pid])
    others = set(family(world.server, sid)) - {pid for pid in kinds.values() if pid}
    found[f"{name} other processes"] = len(others)
    work = world.server.data_dir / "sessions" / sid / "work"
    found[f"{name} calculations' folders"] = len(list((work / "calc").iterdir()))
    count, size = tree(world.server.data_dir / "sessions" / sid)
    what = "folder files with Spark" if kinds["jvm"] else "folder files"
    return found | {f"{name} {what}": count, f"{name} disk MB": size}


def tree(top: Path) -> tuple[int, float]:
    """How many files there are, and the megabytes that they take on disk: holes take none."""
    count = blocks = 0
    for folder, _, names in os.walk(top):
        for name in names:
            with contextlib.suppress(OSError):
                blocks += os.lstat(os.path.join(folder, name)).st_blocks
                count += 1
    return count, blocks * 512 / 1e6


def leftovers(world: World, s3: int | None) -> Figures:
    """Processes of the data dir that nobody owns, and mounts of it that the server sees."""
    server = world.server
    owned = {server.pid, s3}
    for sid in list(world.sessions):
        owned |= {world.part(sid, "shim"), *family(server, sid)}
    strangers = processes_at(server.data_dir) - owned
    mounts = [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(server.data_dir) in line]
    if strangers:
        print(f"of nobody: {[(pid, command_line(pid)) for pid in strangers]}", flush=True)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return {
        "processes of nobody": len(strangers),
        "zombies of the server": sum(zombie(pid) for pid in children),
        "mounts left": len(mounts),
    }


def zombie(pid: str) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def files(data_dir: Path, tmp: Path, lasting: set[str]) -> Figures:
    """Temporary files, and what ended sessions leave."""
    scratch = [p for p in data_dir.iterdir() if SCRATCH.search(p.name)]
    ended = [p for p in (data_dir / "sessions").iterdir() if p.name not in lasting]
    kept = [n for p in ended for n in p.glob("*")]
    objects = 0
    for folder, folders, names in os.walk(data_dir / "s3"):
        scratch += [Path(folder, n) for n in names if SCRATCH.search(n)]
        if ".sgwtmp" in folder:
            scratch += [Path(folder, n) for n in names]
        objects += len(names) + (0 if folders else 1)
    return {
        "scratch files": len(scratch),
        "temporary files": len(list(tmp.iterdir())),
        "ended sessions' folders": len(ended),
        "work folders left": sum((p / "work").exists() for p in ended),
        "files per ended session": len(kept) / max(1, len(ended)),
        "stored files": objects,
    }


def rows(data_dir: Path) -> Figures:
    """What the database has, for each calculation and each session."""
    path = data_dir / "ergane.db"
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)
    try:

        def count(what: str) -> int:
            return db.execute(f"SELECT count(*) FROM {what}").fetchone()[0]

        ids = "(SELECT id FROM calculations UNION ALL SELECT id FROM sessions)"
        calculations, sessions = count("calculations"), count("sessions")
        known = {row[0] for row in db.execute("SELECT id FROM sessions")}
        return {
            "folders of deleted sessions": sum(p.name not in known for p in (data_dir / "sessions").iterdir()),
            "calculations": calculations,
            "sessions": sessions,
            "codes per calculation": count("codes") / max(1, calculations),
            "executors per session": count("executors") / max(1, sessions),
            "lasting tokens per thing": count("tokens WHERE until_ms IS NULL") / max(1, calculations + sessions),
            "passing tokens": count("tokens WHERE until_ms IS NOT NULL"),
            "tokens past their time": count("tokens WHERE until_ms < unixepoch('subsec') * 1000"),
            "rows of nothing": count(f"tokens WHERE resource_id NOT IN {ids}")
            + count("codes WHERE calculation_id NOT IN (SELECT id FROM calculations)")
            + count("calculations WHERE session_id NOT IN (SELECT id FROM sessions)")
            + count("executors WHERE session_id NOT IN (SELECT id FROM sessions)"),
            "workgroups": count("workgroups"),
            "database KB per calculation": path.stat().st_size / 1e3 / max(1, calculations),
            "WAL MB": sum(p.stat().st_size for p in data_dir.glob("ergane.db-wal")) / 1e6,
        }
    finally:
        db.close()
