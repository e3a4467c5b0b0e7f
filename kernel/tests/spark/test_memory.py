"""What a session that is idle does with the memory that its last calculation needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Kernel

GROW = """
rows = spark.range(4_000_000)._jdf.collect()
java = sc._jvm.java.lang.ProcessHandle.current().pid()
print(java, *(line.split()[1] for line in open(f"/proc/{java}/status") if line.startswith("VmRSS")))
del rows
"""
SPARE = 150_000  # KiB of the more than 300,000 that it held


def test_it_goes_back_to_the_system_and_the_session_goes_on(engine: dict[str, Any]) -> None:
    with Kernel({**engine, "idle_seconds": 1.0}) as kernel:
        got = kernel.run(GROW)
        assert got.state == "COMPLETED", got.stderr
        java, before = map(int, got.stdout.split())

        def given_back() -> bool:
            status = Path(f"/proc/{java}/status").read_text()
            return int(status.partition("VmRSS:")[2].split()[0]) < before - SPARE

        kernel.until(given_back, "memory that is given back", 120)
        assert kernel.run("print(spark.range(10).count())").stdout == "10\n"
