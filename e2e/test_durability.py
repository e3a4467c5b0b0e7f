"""What a power cut leaves: each step of a calculation is on disk before the next one shows it, by its system calls."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import Athena, Server, end
from harness.syscalls import Call, Trace, file_of, paths, under


@dataclass
class Life:
    """A session from its start to its end, with one calculation, and what the system was asked for meanwhile."""

    trace: Trace
    data: Path
    sid: str
    cid: str

    @property
    def folder(self) -> Path:
        return self.data / "sessions" / self.sid

    @property
    def calculation(self) -> str:
        return str(self.folder / "work" / "calc" / self.cid)

    def answer(self, *words: str) -> Call:
        """The first answer to a client with these words."""
        return self.trace.first(
            f"answer with {words}",
            lambda c: c.name in ("write", "sendto") and '"HTTP/1.1 200' in c.args and all(w in c.args for w in words),
        )

    def order(self, *words: str) -> Call:
        """The first line on the kernel's socket, either way, with these words."""
        return self.trace.first(
            f"line with {words}",
            lambda c: c.name in ("write", "sendto") and "<socket:" in c.args and all(w in c.args for w in words),
        )


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    if shutil.which("strace") is None:
        pytest.fail("these tests trace system calls: install strace (Debian package strace)")
    place = tmp_path_factory.mktemp("durability")
    server = Server(place / "data")
    server.under = under(place / "trace")
    server.start()
    athena = Athena(server)
    sid = athena.session()
    code = "import sys\nprint('x' * 100)\nprint('y', file=sys.stderr)\n42"
    ran = athena.run(sid, code)
    assert (ran.state, ran.stdout, ran.stderr, len(ran.results)) == ("COMPLETED", b"x" * 100 + b"\n", b"y\n", 1)
    athena.api.terminate_session(SessionId=sid)
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
    end(server)  # and with it the trace
    return Life(Trace(place / "trace", server.data_dir), server.data_dir, sid, ran.raw["CalculationExecutionId"])


def test_a_session_that_was_answered_is_on_disk(life: Life) -> None:
    # Else a client could hold the id of a session that is gone from the disk.
    answer = life.answer('\\"SessionId\\":\\"' + life.sid)
    assert life.trace.row(answer.begin, life.sid) == []


def test_a_session_that_is_idle_has_its_handle_on_disk(life: Life) -> None:
    answer = life.answer("IDLE")
    assert life.trace.row(answer.begin, life.sid, "IDLE") == []
    assert life.trace.disk(answer.begin).file(str(life.folder / "handle.json")) == []


def test_a_calculation_is_on_disk_before_its_id_is_answered_and_before_it_runs(life: Life) -> None:
    answer = life.answer('\\"CalculationExecutionId\\":\\"' + life.cid)
    assert life.trace.row(answer.begin, life.cid) == []
    order = life.order("exec", life.cid)
    assert life.trace.row(order.begin, life.cid) == []


def test_what_a_calculation_wrote_is_on_disk_before_its_outcome_is(life: Life) -> None:
    into_place = life.trace.first("outcome", lambda c: c.name.startswith("rename") and "outcome.json" in c.args)
    disk = life.trace.disk(into_place.begin)
    work = life.folder / "work"
    for path in (
        work / "stdout",
        work / "stderr",
        f"{life.calculation}/outputs.ndjson",
        f"{life.calculation}/.outcome.json",
    ):
        assert disk.knows(str(path))
        assert disk.content(str(path)) == []


def test_an_outcome_and_what_it_speaks_of_is_on_disk_before_the_server_hears_of_it(life: Life) -> None:
    told = life.order("done", life.cid)
    disk = life.trace.disk(told.begin)
    work = life.folder / "work"
    for path in (
        f"{life.calculation}/outcome.json",
        f"{life.calculation}/outputs.ndjson",
        work / "stdout",
        work / "stderr",
    ):
        assert disk.file(str(path)) == []


def test_the_objects_are_on_disk_before_the_calculation_is_settled(life: Life) -> None:
    settled = life.trace.first("settled row", lambda c: life.trace.writes_row(c, life.cid, "COMPLETED"))
    disk = life.trace.disk(settled.begin)
    objects = life.data / "s3" / "data" / "ergane-results" / "primary" / "session" / life.sid / life.cid
    for name in ("stdout", "stderr", "results"):
        assert disk.file(str(objects / name)) == []


def test_the_end_of_a_calculation_is_on_disk_before_anybody_learns_of_it(life: Life) -> None:
    answer = life.answer(life.cid, "COMPLETED")
    assert life.trace.row(answer.begin, life.cid, "COMPLETED") == []


def test_the_spool_goes_only_after_the_end_of_its_calculation_is_on_disk(life: Life) -> None:
    holes = list(life.trace.find("hole in the spool", lambda c: c.name == "fallocate" and "PUNCH_HOLE" in c.args))
    assert {Path(file_of(c.args)).name for c in holes} == {"stdout", "stderr"}
    assert life.trace.row(holes[0].begin, life.cid, "COMPLETED") == []


def test_the_end_of_a_session_is_on_disk_before_anybody_learns_of_it_and_before_its_files_go(life: Life) -> None:
    answer = life.answer("TERMINATED")
    assert life.trace.row(answer.begin, life.sid, "TERMINATED") == []
    assert life.trace.disk(answer.begin).file(str(life.folder / "exit.json")) == []
    gone = life.trace.first(
        "removal", lambda c: c.name == "unlinkat" and paths(c)[-1:] == [f"{life.calculation}/outcome.json"]
    )
    assert life.trace.row(gone.begin, life.sid, "TERMINATED") == []


# What is put in place by name, and needs no sync.
BY_NAME_ONLY = re.compile(
    # They are of a kernel that runs: none outlives the machine.
    r"sessions/[^/]+/work/(driver\.json|tmp/.*)"
    r"|sessions/[^/]+/work/calc/[^/]+/(code\.py|started\.json)"
)


def test_whatever_else_is_put_in_place_is_whole(life: Life) -> None:
    """A file that a rename or a link shows is synced before it, and its name after it."""
    wrong = []
    for call in life.trace.find("rename", lambda c: c.name.startswith(("rename", "link"))):
        path = paths(call)[-1]
        if not path.startswith(str(life.data)) or BY_NAME_ONLY.fullmatch(path.removeprefix(f"{life.data}/")):
            continue
        wrong += life.trace.disk(call.end + 1).content(path)
        synced = [c for c in life.trace.calls if c.name == "fsync" and c.done and c.begin > call.end]
        if not any(file_of(c.args) == str(Path(path).parent) for c in synced):
            wrong.append(f"{path}: its name was not synced")
    assert wrong == []
