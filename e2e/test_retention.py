"""What ended long ago goes, as the server is told, and nothing else does."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import SESSION_LIMIT, Athena, Server, wait_for


def is_there(athena: Athena, sid: str) -> bool:
    try:
        athena.status(sid)
    except ClientError as error:
        assert "was not found" in error.response["Error"]["Message"], error
        return False
    return True


def await_gone(athena: Athena, sid: str) -> None:
    wait_for(f"removal of session {sid}", SESSION_LIMIT, lambda: None if is_there(athena, sid) else True)


def over(athena: Athena, **kwargs: Any) -> tuple[str, dict[str, str]]:
    """A session with a calculation that have ended, and the calculation's objects."""
    sid = athena.session(**kwargs)
    result = athena.run(sid, "print('kept')")
    assert result.stdout == b"kept\n"
    athena.api.terminate_session(SessionId=sid)
    return sid, {k: v for k, v in result.raw["Result"].items() if k.endswith("Uri")}


def objects(athena: Athena, uris: dict[str, str]) -> set[str]:
    """The names of those that there are."""
    found = set()
    for name, uri in uris.items():
        try:
            athena.read(uri)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchKey", error
        else:
            found.add(name)
    return found


@pytest.mark.parametrize("flags", [(), ("--expire-objects",)], ids=["objects stay", "objects go"])
def test_ended_sessions_go_and_live_ones_stay(own_server: Server, flags: tuple[str, ...]) -> None:
    own_server.start("--keep", "1s", "--keep-workgroup", "lasting=0", *flags)
    athena = Athena(own_server)
    athena.api.create_work_group(Name="lasting")
    live = athena.session()
    lasting, lasting_objects = over(athena, WorkGroup="lasting")
    gone, uris = over(athena)
    await_gone(athena, gone)
    assert objects(athena, uris) == (set() if flags else set(uris))
    assert objects(athena, lasting_objects) == set(lasting_objects)
    assert is_there(athena, lasting)
    assert athena.run(live, "print(1)").stdout == b"1\n"
    wait_for(
        "end of the session's folder",
        SESSION_LIMIT,
        lambda: None if (own_server.data_dir / "sessions" / gone).exists() else True,
    )
    with urllib.request.urlopen(own_server.env["AWS_ENDPOINT_URL_ATHENA"] + "/metrics") as answer:
        lines = answer.read().decode().splitlines()
    assert 'ergane_expired_total{what="session"} 1' in lines
    assert f'ergane_expired_total{{what="object"}} {3 if flags else 0}' in lines
    assert "removed what ended long ago" in own_server.log.read_text()


def test_lists_go_on_while_sessions_vanish(own_server: Server) -> None:
    own_server.start("--keep", "0")
    athena = Athena(own_server)
    ended = [over(athena)[0] for _ in range(3)]
    wanted = {"WorkGroup": "primary", "StateFilter": "TERMINATED", "MaxResults": 2}
    page = athena.api.list_sessions(**wanted)
    assert [s["SessionId"] for s in page["Sessions"]] == [ended[2], ended[1]]
    own_server.stop()
    own_server.start("--keep", "1s")  # the tokens of lists outlive servers
    athena = Athena(own_server)
    for sid in ended:
        await_gone(athena, sid)
    rest = athena.api.list_sessions(**wanted, NextToken=page["NextToken"])
    assert rest["Sessions"] == []
    assert "NextToken" not in rest
