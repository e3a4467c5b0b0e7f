"""The loggers beside the JVM, and on workers."""

from __future__ import annotations

from harness import Kernel


def test_functions_on_workers_log_to_the_session(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run(
        "def told(i):\n    athena_user_logger.info('worker %d', i)\n    return i\n"
        "print(sc.parallelize([1, 2], 2).map(told).sum())"
    )
    assert (calculation.stdout, calculation.stderr) == ("3\n", "")
    lines = spark_kernel.log_lines("worker 1", "worker 2")
    assert any(
        line.startswith("AthenaForApacheSpark: ") and line.endswith(" INFO builtins: worker 1") for line in lines
    )


def test_the_log_is_found_again_after_its_descriptor_was_closed(fresh: Kernel) -> None:
    fresh.run("spark.range(1).count()\nimport os; os.closerange(64, 4096)")
    fresh.run("athena_user_logger.info('survived')")
    fresh.log_lines("INFO builtins: survived")


def test_the_level_is_that_of_the_jvm_as_well(spark_kernel: Kernel) -> None:
    spark_kernel.run("%set_log_level DEBUG\nsc.parallelize([1]).count()")
    spark_kernel.log_lines(" DEBUG ", " INFO ")
    calculation = spark_kernel.run(
        "%set_log_level WARNING\n"
        "level = sc._jvm.org.apache.logging.log4j.LogManager.getRootLogger().getLevel().toString()\n"
        "import logging; print(level, athena_user_logger.level == logging.WARNING)"
    )
    assert calculation.stdout.endswith("WARN True\n"), calculation.stderr
    spark_kernel.run("for logger in (athena_user_logger, athena_shared_logger): logger.setLevel('INFO')")
