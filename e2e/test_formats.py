"""Iceberg by the properties that Athena documents, on the catalog that all sessions share.

Delta and Hudi are in long_formats.py.
"""

from __future__ import annotations

import re

from harness import Athena, Server
from test_catalog import sql

ICEBERG = {
    "spark.sql.catalog.spark_catalog": "org.apache.iceberg.spark.SparkSessionCatalog",
    "spark.sql.catalog.spark_catalog.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
    "spark.sql.catalog.spark_catalog.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
}


SERVER_ARGS = ("--catalog", "auto")


def session(server: Server, properties: dict[str, str]) -> tuple[Athena, str]:
    athena = Athena(server)
    return athena, athena.session(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": properties})


def test_iceberg_tables_are_made_merged_and_looked_back_at(server: Server) -> None:
    athena, one = session(server, ICEBERG)
    sql(
        athena,
        one,
        "create database ice",
        "create table ice.people (id int, name string) using iceberg",
        "insert into ice.people values (1, 'ann'), (2, 'bob')",
    )
    (before,) = re.findall(r"\d+", sql(athena, one, "select snapshot_id from ice.people.snapshots"))
    sql(
        athena,
        one,
        "create or replace temporary view news as select 2 as id, 'bert' as name union all select 3, 'cid'",
        "merge into ice.people p using news n on p.id = n.id when matched then update set p.name = n.name"
        " when not matched then insert *",
        "delete from ice.people where id = 1",
    )
    other = athena.session(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": ICEBERG})
    assert sql(athena, other, "select * from ice.people order by id") == "[(2, 'bert'), (3, 'cid')]"
    then = sql(athena, other, f"select * from ice.people version as of {before} order by id")
    assert then == "[(1, 'ann'), (2, 'bob')]"
    # A table of another kind beside it, and what Iceberg makes of one.
    sql(athena, other, "create table ice.plain using parquet as select 7 as n")
    assert sql(athena, one, "select n from ice.plain") == "[(7,)]"
    assert "s3://ergane-results/primary/warehouse/ice.db/people" in sql(athena, one, "describe extended ice.people")
    sql(athena, other, "drop table ice.people purge", "drop database ice cascade")
    for sid in (one, other):
        athena.api.terminate_session(SessionId=sid)


APPEND = """
done = 0
for n in range({count}):
    spark.sql(f"insert into {table} values ({base} + {{n}})")
    done += 1
print(done)
"""


def commits_at_once(server: Server, properties: dict[str, str], kind: str, count: int) -> None:
    athena, one = session(server, properties)
    other = athena.session(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": properties})
    table = f"race_{kind}.t"
    retries = "tblproperties ('commit.retry.num-retries' = '50')" if kind == "iceberg" else ""
    sql(athena, one, f"create database race_{kind}", f"create table {table} (n int) using {kind} {retries}")
    runs = [
        athena.submit(sid, APPEND.format(count=count, table=table, base=1000 * turn))
        for turn, sid in enumerate((one, other))
    ]
    for run in runs:
        result = athena.result(run, 300)
        assert result.state == "COMPLETED", result.stderr.decode()[-3000:]
        assert result.stdout.decode() == f"{count}\n"
    want = f"[({2 * count}, {2 * count})]"
    assert sql(athena, one, f"refresh table {table}", f"select count(*), count(distinct n) from {table}") == want
    sql(athena, one, f"drop database race_{kind} cascade")
    for sid in (one, other):
        athena.api.terminate_session(SessionId=sid)


def test_two_sessions_that_write_one_iceberg_table_lose_nothing(server: Server) -> None:
    commits_at_once(server, ICEBERG, "iceberg", 12)
