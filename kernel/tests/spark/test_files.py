"""Modules and files that a block brings along."""

from __future__ import annotations

from harness import Kernel


def test_a_module_and_a_zip_are_there_for_the_driver_and_for_workers(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run(
        """
import os, zipfile
with open("brought.py", "w") as f: f.write("def plus(i): return i + 1\\n")
with zipfile.ZipFile("packed.zip", "w") as f:
    f.writestr("packed/__init__.py", ""); f.writestr("packed/part.py", "def times(i): return i * 10\\n")
sc.addPyFile("file://" + os.path.abspath("brought.py"))
spark.sparkContext.addPyFile("file://" + os.path.abspath("packed.zip"))
import brought
from packed.part import times
print(brought.plus(1), times(2), sc.parallelize([3]).map(lambda i: brought.plus(times(i))).collect())
"""
    )
    assert calculation.stdout == "2 20 [31]\n", calculation.stderr


def test_another_file_of_the_same_name_fails_as_in_spark_and_costs_no_later_job(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run(
        """
import os
for n in (1, 2):
    os.makedirs(f"v{n}", exist_ok=True)
    with open(f"v{n}/twice.py", "w") as f: f.write(f"V = {n}\\n")
sc.addPyFile("file://" + os.path.abspath("v1/twice.py"))
sc.addPyFile("file://" + os.path.abspath("v2/twice.py"))
"""
    )
    assert calculation.state == "FAILED"
    assert "exists and does not match contents of" in calculation.outcome["error"]["value"]
    following = spark_kernel.run(
        "import twice\nprint(sc.parallelize([1]).map(lambda i: twice.V).collect(), len([f for f in sc.listFiles if 'twice' in f]))"
    )
    assert following.stdout == "[1] 1\n", following.stderr


def test_a_missing_file_is_named(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run("sc.addPyFile('file:///nowhere/absent.py')")
    assert calculation.state == "FAILED"
    assert "/nowhere/absent.py" in calculation.outcome["error"]["value"]
    assert spark_kernel.run("print(sc.parallelize([1]).count())").stdout == "1\n"
