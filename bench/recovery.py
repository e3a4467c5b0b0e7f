"""Print how long a client waits after kill -9 of the server in mid-calculation. bench/run.py runs it, too.

The next server is started at once. Measured from the kill: to the first answer about the calculation, and to its true
end seen; the calculation ends while no server is there, or soon after.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from botocore.exceptions import ConnectionError, HTTPClientError
from conftest import Athena, Server, end

# Reads are not held, so that RUNNING is seen.
PLAIN = ("--hold", "0")
CODE = "import time\ntime.sleep(0.2)\nprint('x')"
LIMIT = 60


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ergane-bench-") as tmp:
        recovery(Path(tmp), 20)


def recovery(tmp: Path, rounds: int) -> None:
    server = Server(tmp / "recovery").start(*PLAIN)
    try:
        sid = Athena(server).session()
        recover(server, sid, CODE, rounds, "1 session")
    finally:
        end(server)


def recover(
    server: Server, sid: str, code: str, rounds: int, what: str, recovered: Callable[[], None] = lambda: None
) -> None:
    """recovered is called after each round."""
    athena = Athena(server, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    answers, ends = [], []
    for _ in range(rounds):
        cid = athena.submit(sid, code)
        state(athena, cid, "RUNNING")
        server.kill()
        begun = time.perf_counter()
        server.launch()
        first = state(athena, cid, "RUNNING", "COMPLETED")
        answers.append(time.perf_counter() - begun)
        if first != "COMPLETED":
            state(athena, cid, "COMPLETED")
        ends.append(time.perf_counter() - begun)
        server.await_ready()
        got: Any = athena.api.get_calculation_execution(CalculationExecutionId=cid)
        assert athena.read(got["Result"]["StdOutS3Uri"]) == b"x\n"
        recovered()
    print_row(f"kill -9 of the server, {what}: to the first answer about a calculation", answers)
    print_row(f"kill -9 of the server, {what}: to the calculation's end seen", ends)


def state(athena: Athena, cid: str, *wanted: str) -> str:
    """The first state that the API tells, once it is one of those; others may come before RUNNING only."""
    over = time.monotonic() + LIMIT
    while True:
        try:
            status = athena.api.get_calculation_execution_status(CalculationExecutionId=cid)["Status"]
            if status["State"] in wanted:
                return status["State"]
            assert status["State"] in ("CREATING", "RUNNING"), status
        except (ConnectionError, HTTPClientError):
            time.sleep(0.002)  # nobody is there
        assert time.monotonic() < over, f"no {wanted} within {LIMIT} s"


def print_row(what: str, values: list[float]) -> None:
    values = sorted(values)
    middle = values[len(values) // 2]
    print(f"{what:72} {values[0]:.2f} / {middle:.2f} / {values[-1]:.2f} s  (min/p50/max, n={len(values)})", flush=True)


if __name__ == "__main__":
    main()
