"""%%sql and tables of Spark's."""

from __future__ import annotations

from harness import Kernel


def test_the_rows_are_printed_as_by_show_and_are_a_table_of_the_results(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run("\n# a remark\n%%sql\nSELECT id,\n       '<b>' AS mark\nFROM range(2)\n")
    text = "+---+----+\n| id|mark|\n+---+----+\n|  0| <b>|\n|  1| <b>|\n+---+----+\n"
    assert (calculation.state, calculation.stdout, calculation.stderr) == ("COMPLETED", text + "\n", "")
    (output,) = calculation.outputs
    assert output["data"]["text/plain"] + "\n" == text
    assert "<td>&lt;b&gt;</td>" in output["data"]["text/html"]


def test_twenty_rows_are_shown_and_the_query_runs_once(spark_kernel: Kernel) -> None:
    spark_kernel.run(
        "runs = sc.accumulator(0)\ndef count(i):\n    runs.add(1)\n    return i\nspark.udf.register('count_runs', count, 'int')"
    )
    calculation = spark_kernel.run("%%sql\nSELECT count_runs(id) AS n FROM range(0, 30, 1, 1)")
    assert calculation.stdout.endswith("only showing top 20 rows\n\n")
    assert calculation.stdout.count("\n|") == 21
    assert calculation.outputs[0]["data"]["text/html"].count("<tr>") == 21
    assert spark_kernel.run("print(runs.value <= 30)").stdout == "True\n"


def test_the_data_frame_is_there_for_the_next_block(spark_kernel: Kernel) -> None:
    spark_kernel.run("%%sql\nSELECT 40 + 2 AS answer")
    assert spark_kernel.run("print(_.first().answer)").stdout == "42\n"


def test_every_type_is_shown_as_show_does(spark_kernel: Kernel) -> None:
    query = (
        "SELECT array(1, 2) a, map('k', 1) m, named_struct('x', 1, 'y', date'2020-01-31') s, cast('ab' AS binary) b, "
        "interval 1 day i, 1.50BD d, cast(NULL AS int) n, timestamp'2020-01-31 10:00:00' t, 'äü漢' u, double('NaN') f"
    )
    expected = spark_kernel.run(f'spark.sql("""{query}""").show()')
    assert expected.state == "COMPLETED", expected.stderr
    assert spark_kernel.run(f"%%sql\n{query}").stdout == expected.stdout


def test_statements_without_rows_show_nothing(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run("%%sql\nCREATE OR REPLACE TEMP VIEW made AS SELECT 1 AS a;")
    assert (calculation.state, calculation.stdout, calculation.outputs) == ("COMPLETED", "", [])
    assert "|  1|" in spark_kernel.run("%%sql\nSELECT * FROM made").stdout


def test_sparks_sentence_fails_the_block_at_the_line_of_the_magic(spark_kernel: Kernel) -> None:
    calculation = spark_kernel.run("\n# a remark\n%%sql\nSELECT *\nFROM nowhere")
    assert calculation.state == "FAILED"
    assert calculation.outcome["error"]["value"].startswith("[TABLE_OR_VIEW_NOT_FOUND]")
    head = '  File "<stdin>", line 3, in <module>\npyspark.errors.exceptions.captured.AnalysisException: [TABLE_OR_VIEW'
    assert calculation.stderr.startswith(head)
    assert "PARSE_SYNTAX_ERROR" in spark_kernel.run("%%sql\nSELEC 1").stderr


def test_the_session_is_the_users_own(spark_kernel: Kernel) -> None:
    spark_kernel.run("old, spark = spark, spark.newSession()\nspark.range(7).createOrReplaceTempView('of_new')")
    assert "|  7|" in spark_kernel.run("%%sql\nSELECT count(*) AS n FROM of_new").stdout
    spark_kernel.run("spark = 'not a session'")
    assert spark_kernel.run("%%sql\nSELECT 1").state == "COMPLETED"
    spark_kernel.run("spark = old")


def test_an_interrupt_stops_a_query(spark_kernel: Kernel) -> None:
    spark_kernel.run(
        "import os, time\ndef slow(i):\n    open(mark, 'w').close()\n    time.sleep(1000)\nmark = os.path.abspath('running')\n"
        "spark.udf.register('slow', slow, 'int')"
    )
    calculation = spark_kernel.submit("%%sql\nSELECT slow(id) FROM range(1)")
    spark_kernel.until((spark_kernel.work / "tmp" / "running").exists, "the query")
    assert calculation.interrupt()["state"] == "CANCELED"


def test_a_data_frame_as_the_last_value_is_its_schema_and_a_table_where_asked(spark_kernel: Kernel) -> None:
    (output,) = spark_kernel.run("spark.range(2)").outputs
    assert output["data"] == {"text/plain": "DataFrame[id: bigint]"}
    spark_kernel.run("spark.conf.set('spark.sql.repl.eagerEval.enabled', True)")
    (output,) = spark_kernel.run("spark.range(2)").outputs
    assert "<td>1</td>" in output["data"]["text/html"]
    assert "|  1|" in output["data"]["text/plain"]
    spark_kernel.run("spark.conf.unset('spark.sql.repl.eagerEval.enabled')")


def test_table_takes_data_frames_and_rows(spark_kernel: Kernel) -> None:
    (output,) = spark_kernel.run("%table spark.range(300)").outputs
    assert output["data"]["text/html"].count("<td>") == 200
    assert "only showing the first 200 rows" in output["data"]["text/plain"]
    (output,) = spark_kernel.run("from pyspark.sql import Row\n%table [Row(a=1, b=None), Row(a=2, b='&')]").outputs
    assert "<tr><th>a</th><th>b</th></tr>" in output["data"]["text/html"]
    assert "<tr><td>2</td><td>&amp;</td></tr>" in output["data"]["text/html"]
