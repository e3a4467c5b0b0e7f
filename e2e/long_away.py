"""What takes minutes of waiting for the S3 of the results: `make faults`. Not part of `make e2e`."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from harness import Athena, Server, faulty_s3, wait_for
from harness.faulty_results import faulty_results
from harness.metrics import sample
from harness.sessions import await_nothing_left, s3_pid


def test_what_could_not_be_delivered_is_redelivered_by_the_server_itself(shared_server: Server, common: Path) -> None:
    with faulty_results(shared_server, common) as world:
        with world.s3.having(faulty_s3.DENIED):
            cid = world.submit("pending")
            got = world.athena.await_calculation(cid, limit=90)
            assert got["Status"]["State"] == "FAILED"
            assert re.fullmatch(
                "the output could not be stored: put s3://away/results/.*: S3 answers AccessDenied: Access Denied.",
                got["Status"]["StateChangeReason"],
            )
            assert "Result" not in got
            assert sample(world.server, "ergane_pending_deliveries") == 1
            world.athena.terminate(world.session)
            # A server that starts while S3 refuses still has the delivery pending.
            world.server.kill()
            world.server.start()
            world.athena = Athena(world.server)
        wait_for("redelivery", lambda: world.athena.await_calculation(cid).get("Result"))
        late = world.athena.result(cid)
        assert (late.state, late.stdout) == ("FAILED", b"kept\n")
        assert world.ran("pending") == 1
        assert sample(world.server, "ergane_pending_deliveries") == 0
        await_nothing_left(world.server, world.session)


def test_an_embedded_s3_that_hangs_is_replaced_and_delays_nothing_else(own_server: Server) -> None:
    athena = Athena(own_server, read_timeout=2, retries={"total_max_attempts": 1})
    sid = athena.session()
    first = s3_pid(own_server)
    os.kill(first, signal.SIGSTOP)
    cid = athena.submit(sid, "print('kept')")
    athena.await_running(cid)
    other = athena.session()  # Spark starts while S3 hangs
    athena.terminate(other)
    got = athena.result(cid, limit=60)
    assert (got.state, got.stdout) == ("COMPLETED", b"kept\n")
    assert s3_pid(own_server) != first
