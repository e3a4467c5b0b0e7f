"""What a kernel does ahead of its session, so that the session's first calculation is as fast as its tenth.

Everything runs in a Spark context of its own, which is stopped before the session's context is made. It leaves loaded
classes, compiled code and imported modules, but no table, no view, no setting, no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import rmtree
from typing import Any
from uuid import uuid4

from .boot import Ahead

ROUNDS = 2  # the JVM compiles what it has seen often


def warm_up(session: Any, ahead: Ahead, folder: str, log: Callable[[bytes], None]) -> None:
    """Works in folder and in the folder of ahead; a failure is logged, and the rest is done nevertheless."""
    files = f"{folder}/.warm-up"
    steps: list[Callable[[], Any]] = [
        lambda: _sql(session),
        lambda: _frames(session),
        lambda: _python(session),
        lambda: _pandas(session),
        lambda: _files(session, f"file://{files}"),
    ]
    if ahead.catalog:
        steps.append(lambda: _catalog(session))
    if ahead.store:
        steps.append(lambda: _store(session, f"{ahead.store}-{uuid4().hex[:8]}"))
    try:
        for step in steps * ROUNDS:
            with log_failure(log):
                step()
    finally:
        rmtree(files, ignore_errors=True)


@contextmanager
def log_failure(log: Callable[[bytes], None]) -> Iterator[None]:
    """Logs a failure, and goes on."""
    try:
        yield
    except Exception as error:
        log(f"ergane: a part of the warm-up failed: {type(error).__name__}: {str(error)[:1000]}\n".encode())


def _sql(session: Any) -> None:
    session.sql("select 1").collect()
    session.sql("select 1 as one")._jdf.showString(20, 20, False)
    session.range(10).count()
    session.range(100).selectExpr("id % 3 as k", "id").groupBy("k").sum("id").orderBy("k").collect()


def _catalog(session: Any) -> None:
    session.sql("show databases").collect()
    session.sql("show tables").collect()
    session.catalog.tableExists("warm_up")


def _frames(session: Any) -> None:
    from pyspark.sql import functions

    frame = session.createDataFrame([(1, "a"), (2, "b"), (3, "a")], ["id", "name"])
    frame.createOrReplaceTempView("warm_up")
    session.sql("select name, count(*) as n, max(id) from warm_up group by name order by n").collect()
    frame.join(session.range(5), "id").withColumn("twice", functions.col("id") * 2).filter("twice > 2").collect()
    session.catalog.dropTempView("warm_up")


def _python(session: Any) -> None:
    from pyspark.sql import functions

    session.range(3).select(functions.udf(lambda n: n + 1, "long")("id")).collect()
    session.sparkContext.parallelize(range(4), 2).map(lambda n: n * 2).sum()


def _pandas(session: Any) -> None:
    import pandas
    from pyspark.sql import functions

    session.createDataFrame(pandas.DataFrame({"id": [1, 2], "x": [0.5, 1.5]})).toPandas()
    session.range(3).select(functions.pandas_udf(lambda n: n + 1, "long")("id")).collect()


def _files(session: Any, folder: str) -> None:
    frame = session.createDataFrame([(1, "a"), (2, "b")], ["id", "name"])
    frame.write.mode("overwrite").parquet(f"{folder}/parquet")
    session.read.parquet(f"{folder}/parquet").where("id > 1").count()
    frame.write.mode("overwrite").csv(f"{folder}/csv", header=True)
    session.read.csv(f"{folder}/csv", header=True, inferSchema=True).count()


def _store(session: Any, folder: str) -> None:
    session.range(10).write.parquet(folder)
    session.read.parquet(folder).count()
    jvm, hadoop = session._jvm, session._jsc.hadoopConfiguration()
    path = jvm.org.apache.hadoop.fs.Path(folder)
    path.getFileSystem(hadoop).delete(path, True)
