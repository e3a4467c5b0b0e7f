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


def test_arrow_pandas_functions_and_mllib_work_with_what_the_engine_has(spark_kernel: Kernel) -> None:
    got = spark_kernel.run(
        """
import os, zipfile
import pandas as pd
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.linalg import Vectors
from pyspark.sql.functions import pandas_udf
with zipfile.ZipFile("zipped.zip", "w") as f:
    f.writestr("zipped/__init__.py", "def times(s): return s * 10\\n")
sc.addPyFile("file://" + os.path.abspath("zipped.zip"))
import zipped
@pandas_udf("double")
def ten(s: pd.Series) -> pd.Series:
    return zipped.times(s)
arrow = {"spark.sql.execution.arrow.pyspark.enabled": "true", "spark.sql.execution.arrow.pyspark.fallback.enabled": "false"}
for key, value in arrow.items(): spark.conf.set(key, value)
frame = pd.DataFrame({"n": [1.0, 2.0], "t": ["a", None], "d": pd.to_datetime(["2026-01-01", "2026-01-02"])})
back = spark.createDataFrame(frame).withColumn("ten", ten("n")).toPandas()
print(back["ten"].tolist(), back["t"].tolist(), back["d"].tolist() == frame["d"].tolist())
rows = spark.createDataFrame([(0.0, Vectors.dense(0.0)), (1.0, Vectors.dense(9.0))] * 10, ["label", "features"])
print(LogisticRegression(maxIter=5).fit(rows).transform(rows).where("label != prediction").count())
for key in arrow: spark.conf.unset(key)
"""
    )
    assert got.stdout == "[10.0, 20.0] ['a', None] True\n0\n", got.stderr
