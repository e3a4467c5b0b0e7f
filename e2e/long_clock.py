"""The machine's clock is set an hour forwards and back: `make faults`. Not part of `make e2e`.

Nobody's clock is set for it: the server is built with a time.Now that adds what a file says.
"""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.auth
import pytest

from harness import ROOT, Athena, Server, end, wait_for

HOUR = 3600
# Longer than the minute that an idle session is left after a restart.
A_WHILE = 75

NOW = "	sec, nsec, mono := runtimeNow()\n"

JUMP = """package time

import "syscall"

// offset is the file, if there is one. time.Now is called where nothing may be opened, or read.
var offset = func() []byte {
	fd, err := syscall.Open("OFFSET", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	b, _ := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	return b
}()

// jump is how many seconds the file says.
func jump() int64 {
	var n uint64
	for i, b := range offset {
		n |= uint64(b) << (8 * i)
	}
	return int64(n)
}
"""


@pytest.fixture(scope="module")
def offset() -> Path:
    """The file that sets the clock. Its path is in the binary, and is the same each time for the build cache."""
    place = ROOT / ".build" / "clock"
    place.mkdir(parents=True, exist_ok=True)
    offset = place / "offset"
    source = Path(go("env", "GOROOT").strip()) / "src" / "time"
    text = (source / "time.go").read_text()
    assert text.count(NOW) == 1
    (place / "time.go").write_text(text.replace(NOW, NOW + "	sec += jump()\n"))
    (place / "jump.go").write_text(JUMP.replace("OFFSET", str(offset)))
    replaced = {str(source / name): str(place / name) for name in ("time.go", "jump.go")}
    (place / "overlay.json").write_text(f'{{"Replace": {replaced}}}'.replace("'", '"'))
    go("build", "-overlay", str(place / "overlay.json"), "-o", str(place / "ergane"), "./cmd/ergane")
    return offset


def go(*command: str) -> str:
    return subprocess.run(["go", *command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


class Clock:
    """binary is the server that follows it."""

    def __init__(self, offset: Path) -> None:
        self.offset, self.binary = offset, offset.with_name("ergane")
        self.ahead = 0

    def set(self, ahead: int) -> None:
        """The server's, and that of its clients, whose requests would be refused otherwise."""
        with self.offset.open("r+b") as f:  # it is mapped
            f.write(ahead.to_bytes(8, "little", signed=True))
        self.ahead = ahead

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead)


@pytest.fixture
def clock(offset: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    offset.write_bytes(bytes(8))
    clock = Clock(offset)
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: clock.now().replace(tzinfo=None)
    )
    yield clock
    offset.unlink(missing_ok=True)


def test_a_clock_that_jumps_ends_nothing_and_reorders_nothing(clock: Clock, tmp_path: Path, common: Path) -> None:
    server = Server(tmp_path / "data", clock.binary).start("--max-run-time", "30m")
    try:
        athena = Athena(server)
        idle, busy = athena.session(SessionIdleTimeoutInMinutes=20), athena.session(SessionIdleTimeoutInMinutes=20)
        cids = {idle: [athena.submit(idle, "print(0)")], busy: []}
        athena.await_calculation(cids[idle][0])
        go_on = common / "go"
        waits = f"import pathlib, time\nwhile not pathlib.Path({str(go_on)!r}).exists():\n    time.sleep(0.1)"
        long = athena.submit(busy, waits)
        cids[busy].append(long)
        athena.await_running(long)
        for n, ahead in enumerate((HOUR, 0, -HOUR)):
            clock.set(ahead)
            assert athena.status(idle)["State"] == "IDLE"
            assert server_time(server) == pytest.approx(clock.now().timestamp(), abs=5)
            # A repeated call makes the session's owner look at the time.
            token = {"ClientRequestToken": f"the-same-token-of-round-{n}-0123456789"}
            cids[idle].append(athena.submit(idle, "print(1)", **token))
            got = athena.await_calculation(cids[idle][-1])
            assert got["Status"]["State"] == "COMPLETED"
            assert got["Statistics"]["DpuExecutionInMillis"] < 60_000
            assert got["Status"]["CompletionDateTime"] >= got["Status"]["SubmissionDateTime"]
            assert athena.submit(idle, "print(1)", **token) == cids[idle][-1]
            assert athena.state(long) == "RUNNING"
            assert athena.status(idle)["State"] == "IDLE"
            assert athena.status(busy)["State"] == "BUSY"
        clock.set(HOUR)
        for _ in range(3):
            athena.api.stop_calculation_execution(CalculationExecutionId=cids[idle][0])
            stays(lambda: athena.status(idle)["State"] == "IDLE" and athena.state(long) == "RUNNING", A_WHILE / 3)
        # What only the database knows: the next server finds the clock an hour behind.
        clock.set(-HOUR)
        server.kill()
        server.start()
        athena = Athena(server)
        assert athena.status(idle)["State"] == "IDLE"
        go_on.touch()
        got = athena.await_calculation(long)
        assert got["Status"]["State"] == "COMPLETED"
        assert got["Statistics"]["DpuExecutionInMillis"] < 600_000
        cids[idle].append(athena.submit(idle, "print(2)"))
        assert athena.await_calculation(cids[idle][-1])["Status"]["State"] == "COMPLETED"
        for sid, want in cids.items():
            listed = athena.api.list_calculation_executions(SessionId=sid)["Calculations"]
            assert [c["CalculationExecutionId"] for c in listed] == want[::-1]
            times = [c["Status"]["SubmissionDateTime"] for c in listed]
            assert times == sorted(times, reverse=True)
        clock.set(0)
    finally:
        end(server)


def server_time(server: Server) -> float:
    """What the server writes beside its last line of log."""
    stamp = server.log.read_text().splitlines()[-1].split()[0].removeprefix("time=")
    return datetime.datetime.fromisoformat(stamp).timestamp()


def stays(true: Callable[[], bool], seconds: float) -> None:
    with pytest.raises(AssertionError, match="no change within"):
        wait_for("change", lambda: not true(), seconds)
