"""What takes minutes of waiting for a result store: `make faults`. Not part of `make e2e`."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from pathlib import Path

import sick
from away import Away, away
from conftest import Athena, Result, Server, wait_for
from faults import await_nothing_left, store_pid


def test_what_could_not_be_delivered_is_redelivered_by_the_server_itself(shared_server: Server, common: Path) -> None:
    with away(shared_server, common) as world:
        with world.s3.having(sick.DENIED):
            cid = world.submit("pending")
            got = world.athena.await_calculation(cid, limit=90)
            assert got["Status"]["State"] == "FAILED"
            assert re.fullmatch(
                "the output could not be stored: put s3://away/results/.*: S3 answers AccessDenied: Access Denied.",
                got["Status"]["StateChangeReason"],
            )
            assert "Result" not in got
            assert metric(world, "ergane_pending_deliveries") == 1
            world.athena.api.terminate_session(SessionId=world.session)
            world.athena.await_session(world.session, leave="TERMINATING")
            # For a server that starts while S3 is unreachable it is pending, too.
            world.server.kill()
            world.server.start()
            world.athena = Athena(world.server)
        wait_for("redelivery", 600, lambda: world.athena.await_calculation(cid).get("Result"))
        late = Result(world.athena, world.athena.await_calculation(cid))
        assert (late.state, late.stdout) == ("FAILED", b"kept\n")
        assert world.ran("pending") == 1
        assert metric(world, "ergane_pending_deliveries") == 0
        await_nothing_left(world.server, world.session)


def metric(world: Away, name: str) -> float:
    with urllib.request.urlopen(world.server.env["AWS_ENDPOINT_URL_ATHENA"] + "/metrics", timeout=10) as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_an_embedded_store_that_hangs_is_replaced_and_delays_nothing_else(own_server: Server) -> None:
    athena = Athena(own_server, read_timeout=2, retries={"total_max_attempts": 1})
    sid = athena.session()
    first = store_pid(own_server)
    os.kill(first, signal.SIGSTOP)
    cid = athena.submit(sid, "print('kept')")
    wait_for("RUNNING", 600, lambda: True if state(athena, cid) == "RUNNING" else None)
    other = athena.session()  # Spark starts without its store
    athena.api.terminate_session(SessionId=other)
    athena.await_session(other, leave="TERMINATING")
    got = Result(athena, athena.await_calculation(cid, limit=60))
    assert (got.state, got.stdout) == ("COMPLETED", b"kept\n")
    assert store_pid(own_server) != first


def state(athena: Athena, cid: str) -> str:
    return athena.api.get_calculation_execution(CalculationExecutionId=cid)["Status"]["State"]
