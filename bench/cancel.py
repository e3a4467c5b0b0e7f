"""Print how long StopCalculationExecution takes, from its call to CANCELED seen by a client that polls, by what the
code does. bench/run.py runs it, too.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from figures import row
from harness import Athena, Server, common_folder, running, wait_for
from polling import await_state

CASES = {
    "a loop": "going()\nwhile True: pass",
    "time.sleep": "import time\ngoing()\ntime.sleep(3600)",
    "a subprocess": "import subprocess\ngoing()\nsubprocess.run(['sleep', '3600'])",
    "a regular expression": "import re\ngoing()\nre.fullmatch('(a+)+b', 'a' * 60)",
    "a socket": "import socket\nnear, far = socket.socketpair()\ngoing()\nnear.recv(1)",
    "a Spark SQL query": "going()\nspark.range(10**12).selectExpr('sum(hash(id))').collect()",
    "an RDD with a Python function": (
        "import time\ngoing()\nsc.parallelize(range(4), 4).map(lambda i: time.sleep(3600)).collect()"
    ),
    "a streaming query's awaitTermination": (
        "query = spark.readStream.format('rate').load().writeStream.format('noop').start()\n"
        "going()\nquery.awaitTermination()"
    ),
}
# Seconds that the code has between its word that it is going and the stop: a job has to begin.
HEAD_START = 0.3


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ergane-bench-") as tmp, running(Path(tmp)) as server:
        cancel(server, 20)


def cancel(server: Server, rounds: int) -> None:
    athena, going = Athena(server), common_folder() / "going"
    sid = athena.session()
    for name, code in CASES.items():
        times = []
        for _ in range(rounds):
            going.unlink(missing_ok=True)
            cid = athena.submit(sid, f"def going(): open({str(going)!r}, 'w').close()\n{code}")
            wait_for("code that is going", going.exists, 60)
            time.sleep(HEAD_START)
            begun = time.perf_counter()
            athena.api.stop_calculation_execution(CalculationExecutionId=cid)
            await_state(athena, cid, "CANCELED", before=("CANCELING",))
            times.append(1000 * (time.perf_counter() - begun))
        row(f"stop of {name}: call to CANCELED seen", times, "ms", tail=True)
        after = athena.run(sid, "for q in spark.streams.active: q.stop()\nprint('next')")
        assert after.stdout == b"next\n", after.stderr
    athena.terminate(sid)


if __name__ == "__main__":
    main()
