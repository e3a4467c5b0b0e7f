"""Packages that code brings to its session: %pip by real pip, in a sandbox, where the workgroup lets it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Athena, Result, Server, common_folder, end

POOL = ("--pool", "1", "--pip-workgroup", "closed=off")


def wheel(folder: Path, name: str, text: str) -> None:
    """A wheel of one module."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: numpy\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    (folder / f"{name}-1.0-py3-none-any.whl").chmod(0o644)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose pip is told of a folder of wheels, by a variable of its own."""
    wheels = common_folder()
    wheel(wheels, "e2e_plus", "def plus(i): return i + 1\n")
    server = Server(tmp_path_factory.mktemp("packages") / "data")
    server.more_env = {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"}
    server.start(*POOL)
    yield server
    end(server)


@pytest.fixture(scope="module")
def athena(server: Server) -> Athena:
    athena = Athena(server)
    athena.api.create_work_group(Name="closed")
    return athena


def done(got: Result) -> Result:
    assert got.state == "COMPLETED", got.stderr.decode()
    return got


def engine_files(athena: Athena, sid: str) -> dict[str, int]:
    site = done(athena.run(sid, "import numpy, os; print(os.path.dirname(os.path.dirname(numpy.__file__)))")).stdout
    return {
        str(path): path.stat().st_mtime_ns
        for path in Path(os.fsdecode(site).strip()).rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    }


def test_a_package_is_there_for_driver_and_workers_of_its_session_alone(athena: Athena, server: Server) -> None:
    sid, other = athena.session(), athena.session()
    before = engine_files(athena, sid)
    code = """
%pip install e2e_plus
import e2e_plus, pandas as pd
from pyspark.sql.functions import pandas_udf, udf
@pandas_udf("long")
def batch(s: pd.Series) -> pd.Series:
    return e2e_plus.plus(s)
print(e2e_plus.plus(0), *spark.range(1, 2).select(udf(e2e_plus.plus, "long")("id"), batch("id")).first())
"""
    got = done(athena.run(sid, code)).stdout.decode()
    assert "Requirement already satisfied: numpy" in got
    assert got.endswith("1 2 2\n")
    assert "No module named 'e2e_plus'" in (athena.run(other, "import e2e_plus").reason or "")
    assert "is part of the engine and stays as it is" in done(athena.run(sid, "%pip install numpy")).stdout.decode()
    assert engine_files(athena, sid) == before

    (site,) = (server.data_dir / "sessions" / sid / "work").glob("python/lib/*/site-packages")
    assert (site / "e2e_plus.py").exists()
    athena.api.terminate_session(SessionId=sid)
    athena.await_session(sid, leave="TERMINATING")
    assert not site.exists()


def test_a_package_that_is_not_there_fails_with_its_name(athena: Athena) -> None:
    got = athena.run(athena.session(), "%pip install e2e_absent")
    assert got.state == "FAILED"
    assert (got.reason or "").startswith(
        "UsageError: pip: Could not find a version that satisfies the requirement e2e_absent"
    )
    assert b"No matching distribution found for e2e_absent" in got.stderr


def test_a_workgroup_may_have_it_switched_off(athena: Athena) -> None:
    # Its sessions take the kernels that wait for those of other workgroups, too.
    sid = athena.session(WorkGroup="closed")
    got = athena.run(sid, "%pip install e2e_plus")
    assert (got.reason or "").startswith("UsageError: %pip is switched off for this workgroup (serve --pip)")


def test_a_zip_from_s3_pandas_functions_arrow_and_mllib_work_as_they_are(athena: Athena) -> None:
    code = """
import io, zipfile, boto3, pandas as pd
from pyspark.sql.functions import pandas_udf
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.linalg import Vectors
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    archive.writestr("e2e_zipped/__init__.py", "def times(s): return s * 10\\n")
s3 = boto3.client("s3")
s3.put_object(Bucket="e2e-packages", Key="e2e_zipped.zip", Body=packed.getvalue())
sc.addPyFile("s3://e2e-packages/e2e_zipped.zip")
import e2e_zipped
@pandas_udf("double")
def ten(s: pd.Series) -> pd.Series:
    return e2e_zipped.times(s)
assert spark.conf.get("spark.sql.execution.arrow.pyspark.enabled") == "true"
spark.conf.set("spark.sql.execution.arrow.pyspark.fallback.enabled", "false")
frame = pd.DataFrame({"n": [1.0, 2.0], "t": ["a", None], "d": pd.to_datetime(["2026-01-01", "2026-01-02"])})
back = spark.createDataFrame(frame).withColumn("ten", ten("n")).toPandas()
print(back["ten"].tolist(), back["t"].tolist(), back["d"].equals(frame["d"]))
rows = spark.createDataFrame([(0.0, Vectors.dense(0.0)), (1.0, Vectors.dense(9.0))] * 10, ["label", "features"])
print(LogisticRegression(maxIter=5).fit(rows).transform(rows).where("label != prediction").count())
"""
    athena.s3.create_bucket(Bucket="e2e-packages")
    got = done(athena.run(athena.session(), code))
    assert got.stdout == b"[10.0, 20.0] ['a', None] True\n0\n"
