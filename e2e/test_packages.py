"""Packages that code brings to its session: %pip by real pip, in a sandbox, where the workgroup lets it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Athena, Result, Server, common_folder, end, wait_for

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
    """A server with a variable of its own that makes pip use a folder of wheels."""
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
    wait_for("removal of what was installed", lambda: not site.exists())


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
