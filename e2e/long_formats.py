"""Delta and Hudi by the properties that Athena documents, on the catalog that all sessions share: minutes long."""

from __future__ import annotations

from harness import Server
from test_catalog import ok, sql
from test_formats import SERVER_ARGS, session

__all__ = ["SERVER_ARGS"]

DELTA = {
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
}
HUDI = {
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.hudi.catalog.HoodieCatalog",
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.sql.extensions": "org.apache.spark.sql.hudi.HoodieSparkSessionExtension",
}


def test_two_sessions_that_write_one_delta_table_lose_nothing(server: Server) -> None:
    """A commit that another session was first with fails; what was acknowledged is there."""
    athena, one = session(server, DELTA)
    other = athena.session(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": DELTA})
    sql(athena, one, "create database race", "create table race.t (n int) using delta")
    code = """
done, refused = [], []
for n in range(12):
    try:
        spark.sql(f"insert into race.t values ({base} + {n})")
        done.append({base} + n)
    except Exception as error:
        refused.append(str(error))
print(done)
print(refused)
"""
    runs = [athena.submit(sid, code.replace("{base}", str(1000 * turn))) for turn, sid in enumerate((one, other))]
    acknowledged = []
    for run in runs:
        result = athena.result(run, 300)
        assert result.state == "COMPLETED", result.stderr.decode()[-3000:]
        done, refused = map(eval, result.stdout.decode().splitlines())
        acknowledged += done
        for why in refused:
            assert "Another writer was first" in why, why
    there = eval(sql(athena, one, "refresh table race.t", "select n from race.t"))
    assert sorted(n for (n,) in there) == sorted(acknowledged)
    sql(athena, one, "drop database race cascade")
    for sid in (one, other):
        athena.api.terminate_session(SessionId=sid)


def test_delta_tables_are_made_merged_and_looked_back_at(server: Server) -> None:
    athena, one = session(server, DELTA)
    ok(athena, one, "spark.range(3).write.format('delta').save('s3://ergane-lake/delta/numbers')")
    sql(
        athena,
        one,
        "create database lake",
        "create table lake.people (id int, name string) using delta",
        "insert into lake.people values (1, 'ann'), (2, 'bob')",
        "merge into lake.people p using (select 2 as id, 'bert' as name) n on p.id = n.id"
        " when matched then update set name = n.name",
    )
    other = athena.session(EngineConfiguration={"MaxConcurrentDpus": 2, "SparkProperties": DELTA})
    assert sql(athena, other, "select * from lake.people order by id") == "[(1, 'ann'), (2, 'bert')]"
    assert sql(athena, other, "select name from lake.people version as of 1 where id = 2") == "[('bob',)]"
    assert ok(athena, other, "print(spark.read.format('delta').load('s3://ergane-lake/delta/numbers').count())") == "3"
    sql(athena, one, "drop database lake cascade")
    for sid in (one, other):
        athena.api.terminate_session(SessionId=sid)


def test_hudi_tables_are_made_merged_and_looked_back_at(server: Server) -> None:
    athena, one = session(server, HUDI)
    sql(
        athena,
        one,
        "create database hoods",
        "create table hoods.people (id int, name string, ts long) using hudi"
        " tblproperties (primaryKey = 'id', preCombineField = 'ts')",
        "insert into hoods.people values (1, 'ann', 1), (2, 'bob', 1)",
        "merge into hoods.people p using (select 2 as id, 'bert' as name, 2l as ts) n on p.id = n.id"
        " when matched then update set name = n.name, ts = n.ts",
    )
    assert sql(athena, one, "select id, name from hoods.people order by id") == "[(1, 'ann'), (2, 'bert')]"
    sql(athena, one, "drop database hoods cascade")
    athena.api.terminate_session(SessionId=one)
