"""The S3 of the results is unreachable, in every way there is: calculations wait for it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Server, common_folder, faulty_s3, wait_for
from harness.faulty_results import FaultyResults, faulty_results


@pytest.fixture(scope="module")
def world(shared_server: Server) -> Iterator[FaultyResults]:
    with faulty_results(shared_server, common_folder()) as world:
        yield world


def assert_all_answer(world: FaultyResults, cid: str) -> None:
    """All that does not need S3. The client gives up after a minute, the server after two where S3 hangs."""
    api = world.server.client("athena", read_timeout=60, retries={"total_max_attempts": 1})
    sid = world.session
    assert api.get_calculation_execution(CalculationExecutionId=cid)["Status"]["State"] == "RUNNING"
    assert api.get_calculation_execution_status(CalculationExecutionId=cid)["Status"]["State"] == "RUNNING"
    assert "kept" in api.get_calculation_execution_code(CalculationExecutionId=cid)["CodeBlock"]
    assert api.list_calculation_executions(SessionId=sid)["Calculations"][0]["CalculationExecutionId"] == cid
    assert api.get_session(SessionId=sid)["Status"]["State"] == "BUSY"
    assert api.get_session_status(SessionId=sid)["Status"]["State"] == "BUSY"
    assert [s["SessionId"] for s in api.list_sessions(WorkGroup="primary")["Sessions"]] == [sid]
    assert api.list_executors(SessionId=sid)["ExecutorsSummary"]
    assert api.get_work_group(WorkGroup="primary")["WorkGroup"]["State"] == "ENABLED"
    assert api.list_work_groups()["WorkGroups"]
    assert api.list_engine_versions()["EngineVersions"]


FAULTS = {
    "gone": faulty_s3.GONE,
    "hangs": faulty_s3.HANGS,
    "503": faulty_s3.BUSY,
    "truncated": faulty_s3.CUT,
    "denied": faulty_s3.DENIED,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_calculation_waits_for_s3_and_ends_right_when_it_is_back(world: FaultyResults, fault: str) -> None:
    before = world.complaints()
    with world.s3.having(FAULTS[fault]):
        cid = world.submit(fault)
        if fault == "hangs":
            wait_for("three objects being sent", lambda: world.s3.taken >= 3)
        else:
            world.await_complaint(before)
        world.athena.await_running(cid)
        assert_all_answer(world, cid)
    got = world.athena.result(cid)
    assert (got.state, got.reason, got.stdout, got.stderr) == ("COMPLETED", None, b"kept\n", b"")
    assert world.ran(fault) == 1
    assert world.athena.status(world.session)["State"] == "IDLE"


def test_a_slow_s3_is_not_taken_for_an_unreachable_one(world: FaultyResults) -> None:
    before = world.complaints()
    with world.s3.having(faulty_s3.SLOW):
        cid = world.submit("slow")
        world.athena.await_calculation(cid)
    got = world.athena.result(cid)
    assert (got.state, got.stdout) == ("COMPLETED", b"kept\n")
    assert world.complaints() == before


def test_a_server_that_dies_while_s3_is_unreachable_leaves_the_delivery_to_the_next(world: FaultyResults) -> None:
    before = world.complaints()
    with world.s3.having(faulty_s3.BUSY):
        cid = world.submit("killed")
        world.await_complaint(before)
        world.server.kill()
        between = world.complaints()
        world.server.start()
        world.await_complaint(between)
    world.athena = type(world.athena)(world.server)
    got = world.athena.result(cid)
    assert (got.state, got.stdout) == ("COMPLETED", b"kept\n")
    assert world.ran("killed") == 1
