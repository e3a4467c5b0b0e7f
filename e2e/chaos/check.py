"""What must hold after a round, whatever died in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from chaos.world import Calculation, Session, Violation, World, digest
from harness.processes import processes_at
from harness.sessions import family, folder, groups_of, waiting_kernels

TERMINAL = ("COMPLETED", "FAILED", "CANCELED")
ENDED = ("TERMINATED", "FAILED")
# Where the harness has killed something of a session, its end names that.
CAUSE = re.compile(r"signal 9|watched over it is gone|Spark driver|shim says nothing|ended without leaving a record")
# What is truly gone may take this long to be gone.
SETTLE = 20  # less than the 30 s after which what was left behind would end by itself


def check(world: World, calculations: list[Calculation]) -> Counter[str]:
    """Wait for the round's end and return how it ended; raise a Violation if a promise is broken."""
    tally: Counter[str] = Counter()
    for calc in calculations:
        if not calc.id:
            continue
        got = world.await_(f"end of calculation {calc.id}", lambda c=calc: ended(world, c))
        tally[got["Status"]["State"]] += 1
        check_calculation(world, calc, got)
    for session in list(world.sessions.values()):
        check_session(world, session)
    marks = world.read_marks()
    for calc in calculations:
        check_refusal(world, calc)
        if marks[calc.mark] > 1:
            raise Violation("double", f"calculation {calc.id} ran {marks[calc.mark]} times")
    check_leftovers(world)
    return tally


def ended(world: World, calc: Calculation) -> dict[str, Any] | None:
    got = world.call("get_calculation_execution", CalculationExecutionId=calc.id)
    return got if got["Status"]["State"] in TERMINAL else None


def check_calculation(world: World, calc: Calculation, got: dict[str, Any]) -> None:
    state, reason = got["Status"]["State"], got["Status"].get("StateChangeReason", "")
    what = f"calculation {calc.id} ({calc.work}) is {state} {reason!r}"
    hit, stopped = calc.sid in world.hit, calc.stop_sent or world.sessions[calc.sid].terminate_sent
    marks, whole = world.read_marks()[calc.mark], calc.output()
    if state == "COMPLETED" and (marks != 1 or calc.work.loops):
        raise Violation("loss", f"{what} and left {marks} marks")
    if marks > 1:
        raise Violation("double", f"{what} and left {marks} marks")
    if "never started" in reason and marks:
        raise Violation("untrue", f"{what} and left its mark")
    if not hit and not (state == "COMPLETED" or (state == "CANCELED" and stopped)):
        raise Violation("loss", f"{what} although nothing of its session was killed")
    if state == "CANCELED" and not stopped:
        raise Violation("untrue", f"{what} although nobody wanted that")
    if state != "COMPLETED" and not reason:
        raise Violation("untrue", f"{what} without a reason")
    if state == "FAILED" and not world.real and not CAUSE.search(reason):
        raise Violation("untrue", f"{what}, which does not name the cause")
    if "Result" not in got:
        raise Violation("torn", f"{what} without a Result")
    stdout = world.object(got["Result"]["StdOutS3Uri"])
    if (stdout != whole) if state == "COMPLETED" else not whole.startswith(stdout):
        there = f"stdout of {len(stdout)} bytes ({digest(stdout)})"
        raise Violation("torn", f"{what}: {there}, not {len(whole)} ({digest(whole)})")
    if stdout and not marks:
        raise Violation("untrue", f"{what}, printed and left no mark")
    stderr, results = world.object(got["Result"]["StdErrorS3Uri"]), world.object(got["Result"]["ResultS3Uri"])
    if state == "COMPLETED" and (stderr or [json.loads(line) for line in results.splitlines()] != [calc.result()]):
        raise Violation("torn", f"{what}: results {results!r}, stderr {stderr!r}")


def check_session(world: World, session: Session) -> None:
    """The session's state is true; one that has ended has left nothing, and is forgotten."""

    def settled() -> dict[str, Any] | None:
        status = world.status(session.id)
        if status["State"] in ENDED:
            return status
        if world.hit.get(session.id) and not world.real:
            return None  # its kernel was killed, and dies as soon as the machine gets to it
        if status["State"] in ("IDLE", "DEGRADED") and not session.terminate_sent and world.lives(session.id):
            driver = world.driver(session.id) if world.real else 1
            return status if (driver is None) == (status["State"] == "DEGRADED") else None
        return None

    status = world.await_(f"true state of session {session.id}", settled)
    what = f"session {session.id} is {status['State']} {status.get('StateChangeReason')!r}"
    hit = session.id in world.hit
    if status["State"] == "DEGRADED":
        world.terminate(session)
        status = world.leave(session.id, "TERMINATING", "DEGRADED")
    if status["State"] in ENDED:
        reason = status.get("StateChangeReason", "")
        if not reason or not (hit or session.terminate_sent):
            raise Violation("loss", f"{what} although nothing of it was killed")
        if status["State"] == "FAILED" and not CAUSE.search(reason):
            raise Violation("untrue", f"{what}, which does not name the cause")
        world.await_(
            f"end of the processes of session {session.id}: {family(world.server, session.id)}",
            lambda: not family(world.server, session.id),
            SETTLE,
        )
        work = folder(world.server, session.id) / "work"
        world.await_(f"removal of {work}", lambda: not work.exists(), SETTLE)
        del world.sessions[session.id]
        world.hit.pop(session.id, None)
        for slot in world.slots:
            if slot.session is session:
                slot.session = None
    else:
        session.was_idle = True
        world.hit.pop(session.id, None)  # its start was repeated


def check_refusal(world: World, calc: Calculation) -> None:
    """A submit that was refused ran nothing, and its session had ended."""
    if not calc.refused:
        return
    if world.read_marks()[calc.mark]:
        raise Violation("double", f"a submit that was refused ({calc.refused}) ran")
    if calc.sid in world.sessions:
        raise Violation("loss", f"a submit was refused ({calc.refused}) in a session that lives")


def check_leftovers(world: World) -> None:
    """Only the server, its S3, and what belongs to live sessions runs; no folder without a session is left."""

    def owned() -> list[str]:
        return [*world.sessions, *waiting_kernels(world.server)]

    def orphans() -> set[int]:
        found = processes_at(world.server.data_dir) - {world.server.pid}
        found -= {world.s3_pid() or 0}
        for sid in owned():
            found -= {world.part(sid, "shim") or 0, *family(world.server, sid)}
        return found

    world.await_(f"end of processes that nobody owns: {orphans()}", lambda: not orphans(), SETTLE)

    def left() -> list[str]:
        return [str(path) for path in world.folders() if (path / "work").exists() and path.name not in owned()]

    world.await_(f"removal of what nobody owns: {left()}", lambda: not left(), SETTLE)

    def unowned() -> list[str]:
        return [str(path) for path in groups_of(world.server) if path.name not in owned()]

    world.await_(f"end of control groups that nobody owns: {unowned()}", lambda: not unowned(), SETTLE)
    known = world.call("list_sessions", WorkGroup="primary", MaxResults=100)["Sessions"]
    if strangers := {s["SessionId"] for s in known} - set(world.sessions):
        raise Violation("double", f"sessions that no client has started: {strangers}")
