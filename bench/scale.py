"""Print what many live sessions cost the server: memory, calls, a restart. bench/run.py runs it, too.

    python bench/scale.py [SESSIONS]

The kernels are stand-ins that one process plays: to the server each is a kernel, with the files, the socket and the
protocol of one. What a real one costs the machine beside that is in bench/run.py's figures of memory.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, Athena, Server, wait_for
from harness.metrics import sample
from harness.processes import memory
from recovery import PLAIN, recover

RESTARTS = 3
KILLS = 10


def main() -> None:
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory(prefix="ergane-bench-") as tmp:
        tool = Path(tmp) / "load"
        subprocess.run(["go", "build", "-o", tool, "./bench/load"], check=True, cwd=ROOT)
        scale(Path(tmp), tool, sessions, 20)


def scale(tmp: Path, tool: Path, sessions: int, seconds: int) -> None:
    server = Server(tmp / "crowded").start()
    say("memory of the server without a session", f"{memory([server.pid]):.1f} MB")
    assert server.stop() == 0  # it has made the database
    with subprocess.Popen([tool, "crowd", server.data_dir, str(sessions)], stdout=subprocess.PIPE, text=True) as crowd:
        assert crowd.stdout is not None
        try:
            expect(crowd.stdout.readline(), f"{sessions} kernels are there")
            figures(server, tool, crowd, sessions, seconds)
            kills(server, crowd, sessions, min(KILLS, seconds))
        finally:
            crowd.kill()
    begun = time.monotonic()
    wait_for("end of the sessions without a kernel", lambda: living(server) == 0, 60)
    say(f"{sessions} kernels die at once: until all sessions are FAILED", f"{time.monotonic() - begun:.2f} s")
    assert server.stop() == 0


def figures(server: Server, tool: Path, crowd: subprocess.Popen[str], sessions: int, seconds: int) -> None:
    started, adopted = [], []
    for n in range(RESTARTS):
        begun = time.monotonic()
        server.start()
        started.append(time.monotonic() - begun)
        assert crowd.stdout is not None
        expect(crowd.stdout.readline(), f"all were greeted {n + 1} times")
        adopted.append(time.monotonic() - begun)
        if n < RESTARTS - 1:
            server.kill()
    what = f"start of a server with {sessions} live sessions"
    say(f"{what}: until it answers", seconds_of(started))
    say(f"{what}: until it has all kernels", seconds_of(adopted))
    describe(server, f"after the start, {sessions} idle sessions")
    before = cpu(server), time.monotonic()
    time.sleep(seconds / 4)
    used = (cpu(server) - before[0]) / (time.monotonic() - before[1])
    say(f"processor that {sessions} idle sessions take", f"{100 * used:.1f} % of one")
    subprocess.run([tool, "live", server.data_dir, str(seconds)], check=True)
    describe(server, "after these calls")


def kills(server: Server, crowd: subprocess.Popen[str], sessions: int, rounds: int) -> None:
    """A calculation in one of the sessions sees the server die, and is the first to be asked for."""
    assert crowd.stdout is not None
    assert server.stop() == 0
    server.start(*PLAIN)
    greetings = iter(range(RESTARTS + 1, RESTARTS + rounds + 2))

    def greeted() -> None:
        assert crowd.stdout is not None
        expect(crowd.stdout.readline(), f"all were greeted {next(greetings)} times")

    greeted()
    sid = Athena(server).api.list_sessions(WorkGroup="primary", MaxResults=1)["Sessions"][0]["SessionId"]
    recover(server, sid, "sleep 200ms\nprint x", rounds, f"{sessions} sessions", greeted)


def describe(server: Server, when: str) -> None:
    """The server's process."""
    pid = server.pid
    status = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    heap = sample(server, "go_memstats_heap_inuse_bytes") / 1e6
    say(
        f"the server {when}",
        f"{memory([server.pid]):.1f} MB PSS ({heap:.1f} MB of heap), {sample(server, 'go_goroutines'):.0f} goroutines,"
        f" {status['Threads']} threads, {len(list(Path(f'/proc/{pid}/fd').iterdir()))} descriptors",
    )


def living(server: Server) -> float:
    return sum(sample(server, f'ergane_sessions{{state="{state}"}}') for state in ("IDLE", "TERMINATING"))


def cpu(server: Server) -> float:
    """Seconds of processor that the server has used."""
    return sample(server, "process_cpu_seconds_total")


def expect(line: str, want: str) -> None:
    assert line.strip() == want, f"{line!r} instead of {want!r}"


def seconds_of(values: list[float]) -> str:
    values = sorted(values)
    return f"{values[0]:.2f} / {values[len(values) // 2]:.2f} / {values[-1]:.2f} s  (min/p50/max, n={len(values)})"


def say(what: str, figure: str) -> None:
    print(f"{what:72} {figure}", flush=True)


if __name__ == "__main__":
    main()
