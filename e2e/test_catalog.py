"""One catalog for all sessions: what one makes every other one sees, and it outlives what dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness import ERGANE, Athena, Server, clean_env, running, wait_for
from harness.processes import all_pids, command_line
from test_pool import await_waiting

SERVER_ARGS = ("--catalog", "auto")


@pytest.fixture(scope="module")
def athena(server: Server) -> Athena:
    return Athena(server)


@pytest.fixture(scope="module")
def one(athena: Athena) -> str:
    return athena.session()


@pytest.fixture(scope="module")
def other(athena: Athena) -> str:
    return athena.session()


def metastore(server: Server) -> list[int]:
    """The catalog's processes."""
    folder = str(server.data_dir / "metastore").encode()
    found = []
    for pid in all_pids():
        words = command_line(pid).split(b"\0")
        if b"Metastore" in words and any(w.startswith(folder) for w in words):
            found.append(pid)
    return found


def ok(athena: Athena, session: str, code: str) -> str:
    """What the code printed; it has to succeed."""
    result = athena.run(session, code)
    assert result.state == "COMPLETED", result.stderr.decode()[-3000:]
    return result.stdout.decode().strip()


def sql(athena: Athena, session: str, *statements: str) -> str:
    """The rows of the last statement, as Python writes them."""
    lines = [f"rows = spark.sql({statement!r}).collect()" for statement in statements]
    return ok(athena, session, "\n".join([*lines, "print([tuple(row) for row in rows])"]))


def test_the_catalog_is_absent_until_it_is_used(server: Server, athena: Athena, one: str) -> None:
    assert (
        ok(
            athena,
            one,
            "spark.range(3).createOrReplaceTempView('t'); print(spark.sql('select count(*) from t').first()[0])",
        )
        == "3"
    )
    assert metastore(server) == []
    assert "default" in sql(athena, one, "show databases")
    assert len(metastore(server)) == 1


def test_a_table_of_one_session_is_seen_by_another_at_once(athena: Athena, one: str, other: str) -> None:
    sql(
        athena,
        one,
        "create database shop",
        "create table shop.orders (id int, who string) using parquet",
        "insert into shop.orders values (1, 'ann'), (2, 'bob')",
    )
    assert sql(athena, other, "select * from shop.orders order by id") == "[(1, 'ann'), (2, 'bob')]"
    sql(athena, other, "insert into shop.orders values (3, 'cid')")
    assert sql(athena, one, "refresh table shop.orders", "select count(*) from shop.orders") == "[(3,)]"
    where = sql(athena, other, "describe database shop")
    assert "s3://ergane-results/primary/warehouse/shop.db" in where


def test_every_format_is_written_and_read(athena: Athena, one: str, other: str) -> None:
    for kind in ("parquet", "csv", "json", "orc"):
        sql(
            athena,
            one,
            "create database if not exists formats",
            f"create table formats.{kind}_managed (id int, name string) using {kind}",
            f"insert into formats.{kind}_managed values (1, 'one'), (2, 'two')",
            f"create table formats.{kind}_there (id int, name string) using {kind} location 's3://ergane-lake/{kind}/'",
            f"insert into formats.{kind}_there select * from formats.{kind}_managed",
        )
        for table in (f"{kind}_managed", f"{kind}_there"):
            assert sql(athena, other, f"select * from formats.{table} order by id") == "[(1, 'one'), (2, 'two')]", table
        assert (
            ok(
                athena,
                other,
                f"print(spark.read.schema('id int, name string').{kind}('s3://ergane-lake/{kind}/').count())",
            )
            == "2"
        )
        sql(athena, other, f"drop table formats.{kind}_there", f"drop table formats.{kind}_managed")
        # What is external keeps its files; what is managed does not.
        assert (
            ok(
                athena,
                one,
                f"print(spark.read.schema('id int, name string').{kind}('s3://ergane-lake/{kind}/').count())",
            )
            == "2"
        )
        assert (
            athena.s3.list_objects_v2(
                Bucket="ergane-results", Prefix=f"primary/warehouse/formats.db/{kind}_managed/"
            ).get("Contents", [])
            == []
        )
    sql(athena, one, "drop database formats")


def test_partitions_are_found_added_and_repaired(athena: Athena, one: str, other: str) -> None:
    ok(
        athena,
        one,
        """
frame = spark.createDataFrame([(1, "de", "a b"), (2, "fr", "c=d"), (3, "de", "e/f")], ["id", "country", "city"])
frame.write.partitionBy("country", "city").parquet("s3://ergane-lake/people")
spark.sql("create database places")
spark.sql('''
    create table places.people (id long, country string, city string) using parquet
    partitioned by (country, city) location "s3://ergane-lake/people"
''')
""",
    )
    assert sql(athena, other, "select * from places.people") == "[]"
    sql(athena, one, "msck repair table places.people")
    want = "[(1, 'de', 'a b'), (2, 'fr', 'c=d'), (3, 'de', 'e/f')]"
    assert sql(athena, other, "refresh table places.people", "select * from places.people order by id") == want
    assert sql(athena, other, "select count(*) from places.people where country = 'de'") == "[(2,)]"
    sql(athena, other, "alter table places.people drop partition (country = 'fr', city = 'c=d')")
    assert sql(athena, one, "show partitions places.people") == "[('country=de/city=a b',), ('country=de/city=e%2Ff',)]"
    sql(athena, one, "alter table places.people add partition (country = 'fr', city = 'c=d')")
    assert sql(athena, other, "refresh table places.people", "select * from places.people order by id") == want


def test_views_selects_frames_and_changes(athena: Athena, one: str, other: str) -> None:
    ok(
        athena,
        one,
        """
spark.sql("create database work")
spark.range(10).withColumnRenamed("id", "n").write.saveAsTable("work.numbers")
spark.sql("create table work.squares using parquet as select n, n * n as square from work.numbers")
spark.sql("create view work.even as select * from work.squares where n % 2 = 0")
spark.sql("alter table work.squares set tblproperties ('owner.team' = 'sums')")
spark.sql("alter table work.numbers rename to work.naturals")
spark.sql("alter table work.squares add columns (comment string)")
spark.sql("analyze table work.squares compute statistics for columns n, square")
""",
    )
    assert sql(athena, other, "select sum(square) from work.even") == "[(120,)]"
    assert sql(athena, other, "select count(*) from work.naturals") == "[(10,)]"
    assert (
        sql(athena, other, "show tables in work")
        == "[('work', 'even', False), ('work', 'naturals', False), ('work', 'squares', False)]"
    )
    assert "('owner.team', 'sums')" in sql(athena, other, "show tblproperties work.squares")
    assert "10 rows" in sql(athena, other, "describe extended work.squares")
    assert "('comment', 'string', None)" in sql(athena, other, "describe work.squares")
    ok(
        athena,
        other,
        "spark.range(10, 12).withColumnRenamed('id', 'n').write.mode('append').saveAsTable('work.naturals')",
    )
    assert sql(athena, one, "refresh table work.naturals", "select max(n) from work.naturals") == "[(11,)]"
    sql(athena, other, "drop database work cascade")
    assert "work" not in sql(athena, one, "show databases")


def test_the_default_database_is_in_s3_and_shared(athena: Athena, one: str, other: str) -> None:
    ok(athena, one, "spark.range(5).write.saveAsTable('five')")
    assert ok(athena, other, "print(spark.table('five').count())") == "5"
    assert "s3://ergane-results/warehouse" in sql(athena, other, "describe formatted five")
    beside = (
        "print(spark.newSession().conf.get('spark.sql.warehouse.dir'), sc.getConf().get('spark.sql.warehouse.dir'))"
    )
    assert ok(athena, other, beside) == "s3://ergane-results/primary/warehouse s3://ergane-results/primary/warehouse"
    sql(athena, other, "drop table five")


def test_a_session_may_ask_for_a_catalog_of_its_own(athena: Athena, one: str) -> None:
    sql(athena, one, "create database seen_by_all")
    alone = athena.session(
        EngineConfiguration={
            "MaxConcurrentDpus": 2,
            "SparkProperties": {"spark.sql.catalogImplementation": "in-memory"},
        }
    )
    assert sql(athena, alone, "show databases") == "[('default',)]"
    assert sql(athena, one, "drop database seen_by_all") == "[]"
    athena.api.terminate_session(SessionId=alone)


def test_the_catalog_removes_nothing_that_its_sessions_do_not_reach(athena: Athena, one: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim" / "file"
    victim.parent.mkdir()
    victim.write_text("precious")
    # As the server's user it would take the folder for the table's, and remove it with the table.
    attack = f"""
spark.sql("create database trap location 'file://{tmp_path}'")
spark.sql("create table trap.victim (id int) using parquet")
spark.sql("drop table trap.victim")
"""
    failed = athena.run(one, attack)
    assert victim.read_text() == "precious"
    assert failed.state == "FAILED"
    assert "has locations in s3:// only" in failed.stderr.decode()
    assert "trap" not in sql(athena, one, "show databases")


def test_a_kill_loses_nothing_that_was_acknowledged(server: Server, athena: Athena, one: str, other: str) -> None:
    sql(athena, one, "create database kills")
    maker = athena.submit(
        one,
        """
made, i = [], 0
while True:
    i += 1
    try:
        if spark.catalog.tableExists("kills.stop"):
            break
        spark.sql(f"create table kills.t{i} (id int) using parquet")
        made.append(f"t{i}")
    except Exception as error:
        print(type(error).__name__, error)
    print("made", len(made), flush=True)
""",
    )

    for kills in range(2):
        (pid,) = wait_for("metastore", lambda: metastore(server))
        before = count(athena, other)
        wait_for("more tables", lambda before=before: count(athena, other) > before)
        os.kill(pid, signal.SIGKILL)
        # What needs no catalog goes on.
        assert ok(athena, other, "print(spark.sql('select 1').first()[0])") == "1", kills
    sql(athena, other, "create table kills.stop (id int) using parquet")
    result = athena.result(maker, 300)
    assert result.state == "COMPLETED", result.stderr
    there = ok(
        athena,
        one,
        "print(set(made) <= {row.tableName for row in spark.sql('show tables in kills').collect()}, len(made))",
    ).split()
    assert there[0] == "True"
    assert int(there[1]) > 0
    sql(athena, other, "drop database kills cascade")


def count(athena: Athena, session: str) -> int:
    return int(ok(athena, session, "print(spark.sql('show tables in kills').count())"))


def test_everything_is_there_after_a_kill_and_restart_of_the_server(server: Server, one: str) -> None:
    athena = Athena(server)
    sql(athena, one, "create database lasting", "create table lasting.t using parquet as select 7 as n")
    (pid,) = metastore(server)
    server.kill()
    wait_for("end of the metastore", lambda: pid not in metastore(server))
    server.start()
    athena = Athena(server)
    assert sql(athena, one, "select n from lasting.t") == "[(7,)]"
    (after,) = metastore(server)
    assert after != pid
    server.stop()
    assert metastore(server) == []
    server.start()
    athena = Athena(server)
    assert sql(athena, one, "select n from lasting.t", "drop database lasting cascade") == "[]"


def test_a_catalog_that_cannot_start_says_so(tmp_path: Path) -> None:
    with running(tmp_path, "--catalog", "auto") as server:
        athena = Athena(server)
        session = athena.session()
        folder = server.data_dir / "metastore"
        sql(athena, session, "show databases")
        (pid,) = metastore(server)
        database = folder / "work" / "derby"
        database.rename(folder / "elsewhere")
        database.write_text("no database")
        os.kill(pid, signal.SIGKILL)
        failed = athena.run(session, "spark.sql('show databases').collect()")
        assert failed.state == "FAILED"
        assert "the catalog cannot be used" in failed.stderr.decode()
        assert "metastore.log" in failed.stderr.decode()
        assert ok(athena, session, "print(spark.range(3).count())") == "3"
        assert (
            ok(
                athena,
                session,
                "spark.range(3).write.parquet('s3://ergane-lake/alone'); print(spark.read.parquet('s3://ergane-lake/alone').count())",
            )
            == "3"
        )
        database.unlink()
        (folder / "elsewhere").rename(database)
        code = "spark.sql('show databases').collect()"
        wait_for("catalog", lambda: athena.run(session, code).state == "COMPLETED", 60)


def test_kernels_that_wait_do_not_start_the_catalog_and_have_it_once_it_is_used(tmp_path: Path) -> None:
    with running(tmp_path, "--catalog", "auto", "--pool", "1", "--pool-max", "1") as server:
        athena = Athena(server)
        for n in range(2):
            waiting = await_waiting(server)
            assert len(metastore(server)) == n
            session = athena.session()
            assert session == waiting
            # What it was started with is what its session gets: there is no second context.
            assert (
                ok(athena, session, "print(spark.conf.get('spark.sql.warehouse.dir'))")
                == "s3://ergane-results/primary/warehouse"
            )
            sql(athena, session, f"create table pooled{n} using parquet as select {n} as n")
            assert len(metastore(server)) == 1
            athena.api.terminate_session(SessionId=session)
            athena.await_session(session, leave="IDLE BUSY TERMINATING")
        log = server.log.read_text()
        assert "a part of the warm-up failed" not in log


CONFIG = """
conf = sc._jvm.org.apache.hadoop.hive.conf.HiveConf()
conf.set("hive.metastore.uris", sc.getConf().get("spark.hadoop.hive.metastore.uris"))
client = sc._jvm.org.apache.hadoop.hive.metastore.HiveMetaStoreClient(conf)
print(client.getConfigValue("hive.none", "${env.AWS_SECRET_ACCESS_KEY} ${user.name}"))
"""


def test_the_catalogs_environment_is_not_to_be_asked_for(athena: Athena, one: str) -> None:
    assert ok(athena, one, CONFIG) == "${env.AWS_SECRET_ACCESS_KEY} ${user.name}"


def test_a_catalog_of_ones_own_has_no_part_in_the_shared_warehouse(athena: Athena, one: str) -> None:
    """Its databases have the names of others, and not their files."""
    sql(athena, one, "create database theirs", "create table theirs.t using parquet as select 1 as n")
    engine = {"MaxConcurrentDpus": 2, "SparkProperties": {"spark.sql.catalogImplementation": "in-memory"}}
    own = athena.session(EngineConfiguration=engine)
    sql(athena, own, "create database theirs", "drop database theirs cascade")
    assert sql(athena, one, "select n from theirs.t") == "[(1,)]"
    sql(athena, one, "drop database theirs cascade")
    athena.api.terminate_session(SessionId=own)


def test_a_database_whose_making_was_broken_off_is_made_anew(tmp_path: Path) -> None:
    with running(tmp_path, "--catalog", "auto") as server:
        athena = Athena(server)
        session = athena.session()
        derby = server.data_dir / "metastore" / "work" / "derby"
        derby.mkdir(parents=True)
        (derby / "seg0").mkdir()  # Derby writes service.properties last
        assert ok(athena, session, "print(spark.sql('show databases').count())") == "1"
        assert (derby / "service.properties").exists()


@pytest.mark.parametrize("catalog", ["off", "thrift://127.0.0.1:1"])
def test_a_server_without_a_catalog_of_its_own(tmp_path: Path, catalog: str) -> None:
    with running(tmp_path, "--catalog", catalog) as server:
        athena = Athena(server)
        session = athena.session()
        result = athena.run(session, "print(spark.sql('show databases').count())")
        if catalog == "off":
            assert result.stdout == b"1\n"
        else:
            assert result.state == "FAILED"
            assert "SessionHiveMetaStoreClient" in result.stderr.decode()
        assert metastore(server) == []
        assert not (server.data_dir / "metastore").exists()
        doctor = subprocess.run(
            [ERGANE, "doctor", "--json", "--data-dir", str(server.data_dir)],
            check=False,
            capture_output=True,
            text=True,
            env=clean_env(server.data_dir.parent),
        )
        (found,) = [f for f in json.loads(doctor.stdout) if f["name"] == "catalog"]
        assert catalog in found["detail"]
        assert found["ok"]
