"""What ended long ago goes, as the server is told, and nothing else does."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ERGANE, Athena, Server, clean_env, wait_for
from harness.metrics import sample


def serve(server: Server, *flags: str) -> Athena:
    """The running server is stopped and started again with these flags."""
    assert server.stop() == 0
    server.start(*flags)
    return Athena(server)


def is_there(athena: Athena, sid: str) -> bool:
    try:
        athena.status(sid)
    except ClientError as error:
        if "was not found" in error.response["Error"]["Message"]:
            return False
        raise
    return True


def await_gone(athena: Athena, sid: str) -> None:
    wait_for(f"removal of session {sid}", lambda: not is_there(athena, sid))


def over(athena: Athena, **kwargs: Any) -> tuple[str, dict[str, str]]:
    """A session with a calculation that have ended, and the calculation's objects."""
    sid = athena.session(**kwargs)
    result = athena.run(sid, "print('kept')")
    assert result.stdout == b"kept\n"
    athena.api.terminate_session(SessionId=sid)
    athena.await_session(sid, leave="IDLE BUSY TERMINATING")
    return sid, {k: v for k, v in result.raw["Result"].items() if k.endswith("Uri")}


def objects(athena: Athena, uris: dict[str, str]) -> set[str]:
    """The names of those that there are."""
    found = set()
    for name, uri in uris.items():
        try:
            athena.read(uri)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("flags", [(), ("--expire-objects",)], ids=["objects stay", "objects go"])
def test_ended_sessions_go_and_live_ones_stay(own_server: Server, flags: tuple[str, ...]) -> None:
    athena = serve(own_server, "--keep", "1s", "--keep-workgroup", "lasting=0", *flags)
    athena.api.create_work_group(Name="lasting")
    live = athena.session()
    lasting, lasting_objects = over(athena, WorkGroup="lasting")
    gone, uris = over(athena)
    await_gone(athena, gone)
    assert objects(athena, uris) == (set() if flags else set(uris))
    assert objects(athena, lasting_objects) == set(lasting_objects)
    assert is_there(athena, lasting)
    assert athena.run(live, "print(1)").stdout == b"1\n"
    wait_for("end of the session's folder", lambda: not (own_server.data_dir / "sessions" / gone).exists())
    assert sample(own_server, 'ergane_expired_total{what="session"}') == 1
    assert sample(own_server, 'ergane_expired_total{what="object"}') == (3 if flags else 0)
    assert "removed what ended long ago" in own_server.log.read_text()


def test_lists_go_on_while_sessions_vanish(own_server: Server) -> None:
    athena = Athena(own_server)
    ended = [over(athena)[0] for _ in range(3)]
    wanted = {"WorkGroup": "primary", "StateFilter": "TERMINATED", "MaxResults": 2}
    page = athena.api.list_sessions(**wanted)
    assert [s["SessionId"] for s in page["Sessions"]] == [ended[2], ended[1]]
    athena = serve(own_server, "--keep", "1s")  # the tokens of lists outlive servers
    for sid in ended:
        await_gone(athena, sid)
    rest = athena.api.list_sessions(**wanted, NextToken=page["NextToken"])
    assert rest["Sessions"] == []
    assert "NextToken" not in rest


def shrinks(server: Server) -> bool:
    """Whether the database of a server that has stopped can give space back."""
    with contextlib.closing(sqlite3.connect(server.data_dir / "ergane.db")) as database:
        return database.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def forget_how_to_shrink(server: Server) -> None:
    """Make the database what earlier versions made."""
    database = sqlite3.connect(server.data_dir / "ergane.db", isolation_level=None)
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA auto_vacuum = 0")
    database.execute("VACUUM")
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    assert not shrinks(server)


def test_an_old_database_is_compacted_while_sessions_live(own_server: Server) -> None:
    def compact() -> subprocess.CompletedProcess[str]:
        command = [ERGANE, "compact", "--data-dir", str(own_server.data_dir)]
        return subprocess.run(command, capture_output=True, text=True, env=clean_env(own_server.data_dir.parent))

    sid = Athena(own_server).session()
    refused = compact()
    assert refused.returncode == 1
    assert "stop it first" in refused.stderr, refused.stderr
    own_server.stop()
    assert shrinks(own_server)

    forget_how_to_shrink(own_server)
    done = compact()
    assert done.returncode == 0, done.stderr
    assert " became " in done.stderr
    assert shrinks(own_server)

    forget_how_to_shrink(own_server)
    own_server.start()
    assert "database compacted" in own_server.log.read_text()
    assert Athena(own_server).run(sid, "print('lives')").stdout == b"lives\n"
    own_server.stop()
    assert shrinks(own_server)
    own_server.start()


def test_the_file_shrinks_when_sessions_go(own_server: Server) -> None:
    athena = Athena(own_server)
    sid = athena.session()
    for n in range(60):
        athena.await_calculation(athena.submit(sid, f"# {n}" + "x" * 60_000))
    athena.api.terminate_session(SessionId=sid)
    athena.await_session(sid, leave="TERMINATING BUSY IDLE")
    own_server.stop()
    path = own_server.data_dir / "ergane.db"
    before = path.stat().st_size
    assert before > 3_000_000
    own_server.start("--keep", "1s")
    await_gone(Athena(own_server), sid)
    wait_for("smaller file", lambda: path.stat().st_size < before - 2_000_000)


def test_doctor_tells_size_growth_and_what_is_kept(own_server: Server) -> None:
    over(serve(own_server, "--keep", "30", "--keep-workgroup", "lasting=0"))
    done = subprocess.run(
        [ERGANE, "doctor", "--json", "--data-dir", str(own_server.data_dir)],
        capture_output=True,
        text=True,
        env=clean_env(own_server.data_dir.parent),
    )
    (found,) = [f for f in json.loads(done.stdout) if f["name"] == "database"]
    assert found["ok"], found
    assert "; 1 calculations of 1 sessions; about " in found["detail"]
    assert " were added per day in the last 1 days; " in found["detail"]
    assert found["detail"].endswith("; sessions are kept for 30d after their end, those of lasting: for ever")
