"""Packages of the session in the Python workers of Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Kernel
from wheels import wheel


def test_functions_on_workers_import_what_was_installed_before_and_after_they_started(
    engine: dict[str, Any], tmp_path: Path
) -> None:
    wheel(tmp_path, "ergane_plus", "1.0", {"ergane_plus.py": "def plus(i): return i + 1\n"})
    wheel(tmp_path, "ergane_queue", "1.0", {"queue.py": "raise ImportError('in place of the standard library')\n"})
    facts = {"facts": {"pip": {"settings": f"[global]\nno-index = true\nfind-links = {tmp_path}\n"}}}
    with Kernel({**engine, **facts}) as kernel:
        began = kernel.run(
            "print(sc.parallelize([1]).map(lambda i: i + 1).collect())"
        )  # a worker is there, and is used again
        assert began.stdout == "[2]\n", began.stderr
        got = kernel.run(
            """
%pip install -q ergane_plus ergane_queue
import pandas as pd
from pyspark.sql.functions import pandas_udf, udf
def plus(i):
    import ergane_plus
    return ergane_plus.plus(i)
@pandas_udf("long")
def batch(s: pd.Series) -> pd.Series:
    import ergane_plus
    return ergane_plus.plus(s)
print(sc.parallelize([1]).map(plus).collect(), spark.range(1).select(udf(plus, "long")("id"), batch("id")).first()[:])
"""
        )
        assert got.stdout == "[2] (1, 1)\n", got.stderr
        gone = kernel.run(
            "%pip uninstall -q ergane_plus\nfrom pyspark import SparkContext\nprint(sc.parallelize([1]).count())"
        )
        assert gone.stdout == "1\n", gone.stderr
