"""Measure Ergane beside its peers: on one machine, in turn, as their users see them.

    make bench-peers                               all of them, REPS repetitions, into docs/ and README.md
    python bench/peers/run.py --short              a few rows of two of them, to see that it works
    python bench/peers/run.py --only ergane,sail   these
    LIVY_HOME=/opt/livy make bench-peers           with Livy, which is on no package index

Nothing else should run on the machine. docs/performance.md tells what each row means.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from connect import Connect, Sail
from ergane import ERGANE, Cold, Ergane, install_clients
from jupyter import Gateway, Jupyter
from livy import Livy
from peer import CLIENTS, ROOT, Peer, engine_packages
from plain import Plain
from processes import adopt_orphans
from rows import Bench, Figure, version_of

PEERS: list[type[Peer]] = [Ergane, Cold, Plain, Jupyter, Gateway, Connect, Sail, Livy]
SHORT = ["ergane-cold", "jupyter"]
# More sessions than so many at once take minutes where each is a JVM.
FEW = 4


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--reps", type=int, default=5, help="repetitions of each peer, in turn")
    args.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(p.name for p in PEERS)}")
    args.add_argument("--short", action="store_true", help="once, few rows: figures without worth")
    args.add_argument("--at-once", default="4,16", metavar="N,...", help="how many sessions at the same moment")
    args.add_argument(
        "--at-once-reps", type=int, default=2, help="in how many of the repetitions those of more than four"
    )
    args.add_argument("--write", action="store_true", help="put the tables and charts into docs/ and README.md")
    args.add_argument("--cache", type=Path, default=ROOT / ".build" / "peers", help="folder of the installations")
    args.add_argument("--install", action="store_true", help="install them, and measure nothing")
    args.add_argument("--keep", action="store_true", help="leave the servers' folders and logs of the last turns")
    args.add_argument("--report", action="store_true", help="measure nothing; write what was measured last")
    opts = args.parse_args()
    file = opts.cache / "results.json"
    if opts.report:
        report.write(json.loads(file.read_text()), ROOT)
        return 0
    if opts.short:
        opts.reps, opts.at_once = 1, ""
    wanted = opts.only.split(",") if opts.only else SHORT if opts.short else [p.name for p in PEERS]
    if unknown := set(wanted) - {p.name for p in PEERS}:
        args.error(f"there is no peer {', '.join(sorted(unknown))}")
    if "livy" in wanted and not os.environ.get("LIVY_HOME"):
        print("Livy is left out: LIVY_HOME names no built home of it")
        wanted.remove("livy")
    os.environ.setdefault("ERGANE_ENGINE_DIR", str(ROOT / ".build" / "engines"))  # as make does
    adopt_orphans()
    opts.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ergane-peers-") as tmp:
        Path(tmp).chmod(0o755)  # sessions may have users of their own
        peers = [p(opts.cache.resolve(), Path(tmp)) for p in PEERS if p.name in wanted]
        for peer in peers:
            peer.install()
        if "ergane" in wanted and not opts.short:
            install_clients(opts.cache.resolve())
        if opts.install:
            return 0
        many = [int(n) for n in opts.at_once.split(",") if n]
        results = measure(peers, opts, many, file)
        if opts.keep:
            shutil.copytree(tmp, opts.cache / "logs", dirs_exist_ok=True, ignore=shutil.ignore_patterns("data"))
    print(report.tables(results))
    if opts.write:
        report.write(results, ROOT)
    return check(results) if opts.short else 0


def measure(peers: list[Peer], opts: argparse.Namespace, many: list[int], file: Path) -> report.Results:
    """Round after round, each peer once in each; what is known is saved after every turn."""
    rows: dict[str, dict[str, list[Figure]]] = {}
    results: report.Results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "repetitions": opts.reps,
        "rows": rows,
        "peers": {},
    }
    for i in range(opts.reps):
        now = [n for n in many if n <= FEW or i < opts.at_once_reps]
        for peer in peers:

            def record(row: str, figure: Figure, name: str = peer.name) -> None:
                rows.setdefault(row, {}).setdefault(name, []).append(figure)
                print(f"  {row}: {figure if isinstance(figure, str) else f'{figure:.4g}'}", flush=True)

            begun = time.monotonic()
            print(f"{peer.title}, {i + 1} of {opts.reps}", flush=True)
            Bench(peer, record, opts.short).run(now)
            print(f"  took {time.monotonic() - begun:.0f} s", flush=True)
            version = version_of(peer) or own_version(peer)
            about = {"title": peer.title, "about": peer.about, "version": version, "commands": peer.commands}
            results["peers"][peer.name] = about
            file.write_text(json.dumps(results, indent=1) + "\n")
    return results


def own_version(peer: Peer) -> str:
    if isinstance(peer, Ergane):
        return subprocess.run([ERGANE, "version"], check=True, capture_output=True, text=True).stdout.strip()
    if isinstance(peer, Plain):
        return next(engine_packages().glob("pyspark-*info")).name.removesuffix(".dist-info").split(".egg")[0]
    return Path(os.environ["LIVY_HOME"]).name


def machine() -> str:
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    system = f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, {system}"


def check(results: report.Results) -> int:
    """A short run shows that nothing has rotted: it fails if a row broke, and says which.

    The clients that were not used are at least compiled, and the documents have a place for every table.
    """
    for script in CLIENTS.glob("*.py"):
        compile(script.read_text(), script, "exec")
    with tempfile.TemporaryDirectory() as tmp:
        for name in ("README.md", "docs/performance.md"):
            (Path(tmp) / name).parent.mkdir(exist_ok=True)
            (Path(tmp) / name).write_text((ROOT / name).read_text())
        report.write(results, Path(tmp))
    wrong = results["rows"].get("went wrong", {})
    for peer, said in wrong.items():
        print(f"{peer}: {'; '.join(map(str, said))}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
