"""Print how quick a session is that finds a kernel in the pool. bench/run.py runs it, too.

python bench/pool.py [SESSIONS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from figures import row
from harness import Athena, Server, running, wait_for
from harness.metrics import sample

WARM_LIMIT = 300
WAITING, WARMING = 'ergane_pool_kernels{state="waiting"}', 'ergane_pool_kernels{state="warming"}'
STATIC = {"spark.serializer": "org.apache.spark.serializer.KryoSerializer", "spark.sql.warehouse.dir": "/tmp/elsewhere"}
WORK = "spark.range(60_000_000).selectExpr('sum(hash(id))').collect()"
FIRSTS = {
    "spark.range(10).count()": "print(spark.range(10).count())",
    "a select": "spark.sql('select 1').show()",
    "createDataFrame from pandas, and back": (
        "import pandas; spark.createDataFrame(pandas.DataFrame({'x': [1]})).toPandas()"
    ),
    "a Python function": (
        "from pyspark.sql.functions import udf; spark.range(3).select(udf(lambda x: x + 1, 'long')('id')).collect()"
    ),
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ergane-bench-") as tmp:
        pool(Path(tmp), int(sys.argv[1]) if len(sys.argv) > 1 else 5)


def pool(tmp: Path, sessions: int) -> None:
    with running(tmp / "pooled", "--pool", "1", "--pool-max", "1") as server:
        athena = Athena(server)
        kinds = [("a session from the pool", {}), ("the same with static properties", STATIC)]
        for what, properties in kinds if sessions > 1 else kinds[:1]:
            idle, first = [], []
            later: dict[str, list[tuple[float, float]]] = {name: [] for name in FIRSTS}
            for _ in range(sessions):
                await_kernel(server)
                begun = time.perf_counter()
                engine = {"MaxConcurrentDpus": 2, "SparkProperties": properties}
                started = athena.api.start_session(WorkGroup="primary", EngineConfiguration=engine)
                sid, state = started["SessionId"], started["State"]
                if state == "CREATING":
                    state = athena.await_session(sid)["State"]
                assert state == "IDLE", state
                idle.append(1000 * (time.perf_counter() - begun))
                assert athena.run(sid, FIRSTS["spark.range(10).count()"]).stdout == b"10\n"
                first.append(1000 * (time.perf_counter() - begun))
                if not properties:
                    for name, code in FIRSTS.items():
                        times = [run(athena, sid, code) for _ in range(10)]
                        later[name].append((times[0], times[-1]))
                athena.terminate(sid)
            row(f"{what}: StartSession to IDLE", idle, "ms")
            row(f"{what}: StartSession to first count, output read", first, "ms")
            for name, times in later.items():
                if times:
                    row(f"  {name}: the first in it", [a for a, _ in times], "ms")
                    row(f"  {name}: the tenth", [b for _, b in times], "ms")
        if sessions > 1:
            refill(server, athena)


def refill(server: Server, athena: Athena) -> None:
    """How long work takes that keeps every processor busy, alone and while the pool starts its next kernel."""
    await_kernel(server)
    sid = athena.session()
    await_kernel(server)
    for _ in range(3):
        run(athena, sid, WORK)  # not counted
    alone = [run(athena, sid, WORK) for _ in range(5)]
    other = athena.session()
    beside: list[float] = []
    while sample(server, WAITING) < 1:
        took = run(athena, sid, WORK)
        if sample(server, WARMING) >= 1:
            beside.append(took)
    row("a query on all processors, the pool being full", alone, "ms")
    row("the same while the pool's next kernel starts", beside, "ms")
    for session in (sid, other):
        athena.terminate(session)


def run(athena: Athena, sid: str, code: str) -> float:
    """Milliseconds from the start call to the end seen."""
    begun = time.perf_counter()
    got = athena.await_calculation(athena.submit(sid, code))
    assert got["Status"]["State"] == "COMPLETED", got
    return 1000 * (time.perf_counter() - begun)


def await_kernel(server: Server) -> None:
    wait_for("kernel in the pool", lambda: sample(server, WAITING) >= 1, WARM_LIMIT, 0.2)


if __name__ == "__main__":
    main()
