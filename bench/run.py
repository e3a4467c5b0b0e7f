"""Print the figures of docs/performance.md, measured again: Ergane beside plain PySpark, in one run, on one machine.

Every figure is what a user's client sees: boto3 polling as fast as it can, a stopwatch around it. Nothing else should
run on the machine. Takes about ten minutes.

    make bench                     all of it
    python bench/run.py --short    a few repetitions of each, to see that it works
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cancel import cancel
from catalog import catalog
from figures import row
from harness import ENGINES, ERGANE, ROOT, Athena, Server, clean_env, end, running
from harness.processes import command_line, memory
from polling import await_state
from pool import pool
from recovery import recovery
from scale import scale

# The same work on both sides: from nothing to the first count.
PLAIN = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[*]").getOrCreate()
assert spark.range(10).count() == 10
"""


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--short", action="store_true", help="few repetitions: figures without worth")
    short = args.parse_args().short
    describe_machine()
    with tempfile.TemporaryDirectory(prefix="ergane-bench-") as tmp:
        with running(Path(tmp)) as server:
            measure(server, 1 if short else 5, 10 if short else 200)
            cancel(server, 1 if short else 20)
        pool(Path(tmp), 1 if short else 5)
        if not short:
            catalog(Path(tmp), 5)
        recovery(Path(tmp), 1 if short else 20)
        load(Path(tmp), short)


def load(tmp: Path, short: bool) -> None:
    """The API alone: many callers at once, and lists of a server that has seen much."""
    tool = tmp / "load"
    subprocess.run(["go", "build", "-o", tool, "./bench/load"], check=True, cwd=ROOT)
    scale(tmp, tool, 50 if short else 2000, 1 if short else 20)
    server = Server(tmp / "long").start()
    assert server.stop() == 0  # it has made the database
    calculations, sessions = ("10000", "1000") if short else ("1000000", "100000")
    subprocess.run([tool, "seed", server.data_dir, calculations, sessions], check=True)
    server.start()
    try:
        subprocess.run([tool, "calls", server.data_dir, "1" if short else "5"], check=True)
        subprocess.run([tool, "pages", server.data_dir], check=True)
        what = f"memory of the server after that, {calculations} calculations"
        print(f"{what:72} {memory([server.pid]):6.0f} MB PSS")
    finally:
        end(server)


def measure(server: Server, starts: int, blocks: int) -> None:
    athena = Athena(server)
    warm = athena.session()  # the first session after an installation fills the page cache
    athena.terminate(warm)

    plain, ours, idle = [], [], []
    for _ in range(starts):  # in turn, so that a noisy minute hits both
        plain.append(seconds(lambda: run_plain()))
        begun = time.perf_counter()
        sid = athena.session()
        idle.append(time.perf_counter() - begun)
        assert athena.run(sid, "print(spark.range(10).count())").stdout == b"10\n"
        ours.append(time.perf_counter() - begun)
        athena.terminate(sid)
    row("plain pyspark: process to first count", plain, "s")
    row("ergane: StartSession to IDLE", idle, "s")
    row("ergane: StartSession to first count, output read", ours, "s")
    ratios = [o / p for o, p in zip(ours, plain, strict=True)]
    row("ergane / plain pyspark, pair by pair", [100 * r for r in ratios], "%")

    sid = athena.session()
    for code in ("pass", "print(1)"):
        round_trip(athena, sid, code)  # not counted
        times = [round_trip(athena, sid, code) for _ in range(blocks)]
        row(f"calculation `{code}`: start call to state seen", [1000 * t for t in times], "ms", tail=True)

    block = "import sys\nline = 'x' * 99 + '\\n'\nfor _ in range(1000): sys.stdout.write(line * 1000)"
    times = []
    for _ in range(starts):
        begun = time.perf_counter()
        cid = athena.submit(sid, block)
        got = athena.await_calculation(cid)
        times.append(time.perf_counter() - begun)
        bucket, _, key = got["Result"]["StdOutS3Uri"].removeprefix("s3://").partition("/")
        assert athena.s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == 100_000_000
    row("calculation that prints 100 MB: start call to COMPLETED, object durable", times, "s")
    weigh(server)


def run_plain() -> None:
    engine = next(ENGINES.glob("*/venv/bin/python"))
    env = clean_env(Path(tempfile.gettempdir()))
    env["SPARK_LOCAL_IP"] = "127.0.0.1"
    subprocess.run([engine, "-c", PLAIN], check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def round_trip(athena: Athena, sid: str, code: str) -> float:
    begun = time.perf_counter()
    await_state(athena, athena.submit(sid, code), "COMPLETED")
    return time.perf_counter() - begun


def weigh(server: Server) -> None:
    """Proportional set sizes after all of the above, with one idle session."""
    print(f"{'memory of the server':72} {memory([server.pid]):6.0f} MB PSS")
    kinds: dict[str, list[int]] = {"embedded S3": [], "shim": [], "kernel": [], "Spark driver (JVM)": []}
    for pid in server.session_processes():
        words = command_line(pid).split(b"\0")
        if words[0].endswith(b"java"):
            kinds["Spark driver (JVM)"].append(pid)
        elif b"s3" in words[:2]:
            kinds["embedded S3"].append(pid)
        elif b"shim" in words[:2]:
            kinds["shim"].append(pid)
        else:
            kinds["kernel"].append(pid)
    for kind, pids in kinds.items():
        print(f"{'memory of the ' + kind:72} {memory(pids):6.0f} MB PSS")


def seconds(what: Callable[[], None]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def describe_machine() -> None:
    version = subprocess.run([ERGANE, "version"], check=True, capture_output=True, text=True).stdout.strip()
    system = f"{platform.system()} {platform.release()}, {os.cpu_count()} processors"
    print(f"{version} on {system}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
