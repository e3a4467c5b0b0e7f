"""Code that harms its process: an honest outcome, then the next calculation works or the session says why not."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from botocore.exceptions import ClientError

from harness import Athena, Result, Server, wait_for
from harness.processes import alive
from harness.sessions import await_nothing_left, kernel_pid, outside, shim_pid

REFUSED = "Session is in the {} state; needs to be IDLE to accept Calculations."


class Victim:
    """A session for code that means it harm; a new one where the last did not live through it."""

    def __init__(self, athena: Athena) -> None:
        self.athena = athena
        self.sessions: list[str] = []

    @property
    def session(self) -> str:
        if not self.sessions or self.athena.status(self.sessions[-1])["State"] != "IDLE":
            self.sessions.append(self.athena.session())
            self.run("import os; environ = dict(os.environ)")
        return self.sessions[-1]

    def run(self, code: str) -> Result:
        return self.athena.run(self.session, code)


@pytest.fixture(scope="module")
def victim(athena: Athena, shared_server: Server) -> Iterator[Victim]:
    victim = Victim(athena)
    yield victim
    for sid in victim.sessions:
        athena.api.terminate_session(SessionId=sid)
    for sid in victim.sessions:
        athena.await_session(sid, leave="TERMINATING")
        await_nothing_left(shared_server, sid)


@pytest.fixture(autouse=True)
def expected(shared_server: Server) -> Iterator[list[str]]:
    """The words of errors that the server's log may hold after the test; no others."""
    words: list[str] = []
    with shared_server.no_errors(words):
        yield words


class Case(NamedTuple):
    code: str
    state: str = "COMPLETED"
    reason: str | None = None  # a pattern
    stdout: bytes | None = b""
    stderr: str = ""  # a part


def failed(code: str, reason: str, stdout: bytes = b"", stderr: str | None = None) -> Case:
    """A block that raises; stderr ends with the reason, if nothing else is said."""
    return Case(code, "FAILED", reason, stdout, re.sub(r"\\(.)", r"\1", reason) if stderr is None else stderr)


CHAINED = """
def inner():
    return {}["missing"]

def outer():
    try:
        inner()
    except KeyError as error:
        raise ValueError("outer") from error

print("kept")
outer()
"""

FALLEN_CHILD = """

pid = os.fork()
if pid:
    print("parent", os.waitpid(pid, 0)[1])
else:
    print("child")
"""

IN_ORDER = """
import ctypes, os, subprocess, sys
print("python")
os.system("echo shell")
subprocess.run([sys.executable, "-c", "print('child')"])
ctypes.CDLL(None).puts(b"c")
os.write(1, b"descriptor\\n")
print("python again")
"""

OUT_OF_MEMORY = """
import resource
old = resource.getrlimit(resource.RLIMIT_AS)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), old[1]))
try:
    hog = []
    while True:
        hog.append(bytearray(16 << 20))
finally:
    del hog
    resource.setrlimit(resource.RLIMIT_AS, old)
"""

FLOOD = """
import os, socket
hello = b'{"op":"hello","v":1,"token":"x","epoch":99,"n":1}\\n'
for data in (b"", b"garbage\\n", hello, b"x" * (1 << 20), b"{" * 60_000 + b"\\n"):
    for _ in range(20):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(5)
        try:
            peer.connect("../kernel.sock")
            peer.sendall(data)
        except OSError:
            pass
        globals().setdefault("peers", []).append(peer)
print("flooded")
"""

SURVIVED = {
    # These first: Spark starts its Python workers only after them.
    "deletes its folder": Case("import os, shutil; shutil.rmtree(os.getcwd()); print('kept')", stdout=b"kept\n"),
    "deletes TMPDIR": Case("import os, shutil; shutil.rmtree(os.environ['TMPDIR'])"),
    "raises in nested functions": failed(CHAINED, "ValueError: outer", b"kept\n"),
    "raises an exception of its own": failed(
        "class Oops(Exception): pass\nraise Oops('why', 7)", r"Oops: \('why', 7\)"
    ),
    "is no Python": failed("print('never')\ndef f(:\n    pass", "SyntaxError: invalid syntax"),
    "is cut off": failed("f(1,\n", r"SyntaxError: '\(' was never closed"),
    "raises lines": failed(
        "raise ValueError('one\\ntwo\\n\\n  three')", "ValueError: one two three", stderr="one\ntwo\n\n  three"
    ),
    "raises a long text": failed(
        "raise ValueError('x' * 5_000_000)", "ValueError: x{500,}…?", stderr="ValueError: " + "x" * 5_000_000
    ),
    "raises what is no text": failed(
        "raise ValueError('\\udcff \\x00 \\x1b[31m')", r"(?s)ValueError: .*\[31m", stderr="\\udcff"
    ),
    "raises an exception without a text": failed(
        "class Mute(Exception):\n    def __str__(self): 1 / 0\nraise Mute",
        r"Mute: <exception str\(\) failed: Mute>",
        stderr="Mute: <exception str() failed>",
    ),
    "raises KeyboardInterrupt": failed("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "exits with 0": failed("import sys; print('kept'); sys.exit(0)", "SystemExit: 0", b"kept\n"),
    "exits with 1": failed("exit(1)", "SystemExit: 1"),
    "quits": failed("quit()", "SystemExit: None"),
    "exits with a text": failed("import sys; sys.exit('good bye')", "SystemExit: good bye"),
    "exits in a thread": Case(
        "import sys, threading\nt = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join(); print('on')",
        stdout=b"on\n",
    ),
    "forks a child that falls out of it": Case(FALLEN_CHILD, stdout=b"child\nparent 0\n"),
    "forks a child that fails": Case(
        "import os\npid = os.fork()\nif not pid: raise ValueError('in the child')\nprint(os.waitpid(pid, 0)[1])",
        stdout=b"256\n",
        stderr="ValueError: in the child",
    ),
    "closes sys.stdout": Case("import sys; print('kept'); sys.stdout.close()", stdout=b"kept\n"),
    "closes descriptors 1 and 2": Case("import os; print('kept'); os.close(1); os.close(2)", stdout=b"kept\n"),
    "has no sys.stdout": Case("import sys; print('kept'); sys.stdout = None; print('gone')", stdout=b"kept\n"),
    "fails without a stderr": failed("import sys; sys.stderr = None; 1 / 0", "ZeroDivisionError: division by zero"),
    "prints what is no UTF-8": Case(
        "import os; os.write(1, b'\\xff\\xfe\\x00\\x80 ok\\n');", stdout=b"\xff\xfe\x00\x80 ok\n"
    ),
    "prints half a character": Case("print('\\ud83d')", stdout=b"\\ud83d\n"),
    "reads stdin": failed(
        "import sys; print(repr(sys.stdin.read())); input()", "EOFError: EOF when reading a line", b"''\n"
    ),
    "clears the environment": Case("import os; os.environ.clear()"),
    "fills the environment": Case("import os\nfor i in range(2000): os.environ[f'V{i}'] = 'x' * 400"),
    "mixes writers": Case(IN_ORDER, stdout=b"python\nshell\nchild\nc\ndescriptor\npython again\n"),
    "recurses without end": failed(
        "def f(): return f()\nf()", "RecursionError: maximum recursion depth exceeded.*", stderr="RecursionError"
    ),
    "eats memory": failed(OUT_OF_MEMORY, "MemoryError"),
    "stops Spark": Case("spark.stop()"),
    "stops Spark and uses it": Case("sc.stop()\nspark.range(1).count()", "FAILED", ".+", stderr="AttributeError"),
    "floods the kernel's socket": Case(FLOOD, stdout=b"flooded\n"),
    "deletes the kernel's socket": Case("import os; os.unlink('../kernel.sock')"),
    "takes the interrupt for itself": Case("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"),
}

NEXT = """
import os
print("next", spark.range(3).count(), sc.range(3).map(int).sum())
os.system("echo child")
os.environ.clear()
os.environ.update(environ)
"""


@pytest.mark.parametrize("name", SURVIVED)
def test_the_next_calculation_works_after_one_that(victim: Victim, name: str) -> None:
    case, sid = SURVIVED[name], victim.session
    got = victim.athena.run(sid, case.code)
    assert got.state == case.state, (got.reason, got.stderr[-500:])
    if case.reason is None:
        assert got.reason is None
    else:
        assert got.reason is not None
        assert re.fullmatch(case.reason, got.reason), got.reason
        assert len(got.reason) <= 1024
    assert case.stdout is None or got.stdout == case.stdout
    assert case.stderr in got.stderr.decode()
    assert b"Traceback (most recent call last)" not in got.stderr
    after = victim.athena.run(sid, NEXT)
    assert (after.state, after.stdout) == ("COMPLETED", b"next 3 3\nchild\n"), after.stderr
    assert victim.session == sid


def test_a_chain_of_exceptions_is_told_from_the_users_first_line_on(victim: Victim) -> None:
    text = victim.run(CHAINED).stderr.decode()
    cause, _, effect = text.partition("The above exception was the direct cause of the following exception:")
    assert cause.lstrip().startswith('File "<stdin>", line 7, in outer\n'), text
    assert cause.strip().endswith("KeyError: 'missing'")
    assert effect.lstrip().startswith('File "<stdin>", line 12, in <module>\n')
    assert effect.endswith("ValueError: outer\n")


def test_100_mb_of_stdout_arrive_to_the_byte(victim: Victim) -> None:
    got = victim.run("for i in range(1_000_000):\n    print(f'{i:0104d}')")
    assert got.state == "COMPLETED"
    assert len(got.stdout) == 105_000_000
    want = hashlib.sha256(b"".join(b"%0104d\n" % i for i in range(1_000_000)))
    assert hashlib.sha256(got.stdout).digest() == want.digest()
    assert victim.run("print('next')").stdout == b"next\n"


def test_a_thread_prints_on_into_the_next_calculation(victim: Victim) -> None:
    start = """
import threading
over = threading.Event()
def noise():
    while not over.wait(0.005):
        print("noise", flush=True)
thread = threading.Thread(target=noise)
thread.start()
"""
    assert victim.run(start).state == "COMPLETED"
    got = victim.run("import time; time.sleep(0.2); print('mine'); over.set(); thread.join()")
    lines = got.stdout.decode().split("\n")
    assert set(lines) == {"noise", "mine", ""}
    assert victim.run("print('quiet')").stdout == b"quiet\n"


def test_a_forked_child_that_lives_on_delays_nothing_and_dies_with_the_session(
    victim: Victim, shared_server: Server
) -> None:
    code = """
import os, time
pid = os.fork()
if not pid:
    os.setsid()
    os.chdir("/")
    time.sleep(3600)
print(pid)
"""
    sid = victim.session
    (child,) = outside(shared_server, sid, int(victim.run(code).stdout))
    assert victim.run("print('next')").stdout == b"next\n"
    assert alive(child)
    victim.athena.api.terminate_session(SessionId=sid)
    status = victim.athena.await_session(sid, leave="TERMINATING")
    assert status["State"] == "TERMINATED"
    assert not alive(child)


ENDED = {
    "os._exit": ("import os; print('kept'); os._exit(3)", "exited with status 3"),
    "a segmentation fault": (
        "import ctypes; print('kept'); ctypes.string_at(0)",
        "was killed by signal 11 (segmentation fault)",
    ),
    "os.abort": ("import os; print('kept'); os.abort()", "was killed by signal 6 (aborted)"),
    "kill -9": ("import os; print('kept'); os.kill(os.getpid(), 9)", "was killed by signal 9 (killed)"),
}


def assert_lost(victim: Victim, server: Server, sid: str, reason: str) -> None:
    """The session has FAILED for the reason, takes no calculation, ends without trouble, and nothing of it is left."""
    api = victim.athena.api
    status = victim.athena.status(sid)
    assert (status["State"], status.get("StateChangeReason")) == ("FAILED", reason)
    assert status["EndDateTime"] >= status["StartDateTime"]
    with pytest.raises(ClientError) as refusal:
        victim.athena.submit(sid, "pass")
    assert refusal.value.response["Error"]["Code"] == "InvalidRequestException"
    assert refusal.value.response["Error"]["Message"] == REFUSED.format("FAILED")
    assert api.terminate_session(SessionId=sid)["State"] == "FAILED"
    states = {e["ExecutorState"] for e in api.list_executors(SessionId=sid)["ExecutorsSummary"]}
    assert states == {"FAILED"}
    await_nothing_left(server, sid)


@pytest.mark.parametrize("name", ENDED)
def test_the_session_fails_with_the_exact_reason_and_keeps_the_output_after(
    victim: Victim, shared_server: Server, session: str, name: str
) -> None:
    code, how = ENDED[name]
    sid = victim.session
    got = victim.athena.run(sid, code)
    reason = f"the session's kernel {how}"
    assert (got.state, got.reason, got.stdout) == ("FAILED", reason, b"kept\n")
    assert_lost(victim, shared_server, sid, reason)
    assert victim.athena.run(session, "print('unharmed')").stdout == b"unharmed\n"


def test_a_session_whose_shim_was_killed_fails_and_leaves_nothing(
    victim: Victim, shared_server: Server, session: str, common: Path
) -> None:
    sid = victim.session
    shim = shim_pid(shared_server, sid)
    there = common / "there"
    code = f"import time; print('kept', flush=True); open({str(there)!r}, 'w').close(); time.sleep(3600)"
    cid = victim.athena.submit(sid, code)
    wait_for("code that is there", there.exists)
    os.kill(shim, 9)
    got = victim.athena.result(cid)
    reason = "the session's kernel ended without leaving a record: the process that watched over it is gone, too"
    assert (got.state, got.reason, got.stdout) == ("FAILED", reason, b"kept\n")
    assert not alive(shim)
    assert_lost(victim, shared_server, sid, reason)
    assert victim.athena.run(session, "print('unharmed')").stdout == b"unharmed\n"


def test_a_session_whose_spark_driver_died_is_degraded_and_can_be_ended(victim: Victim, shared_server: Server) -> None:
    sid = victim.session
    got = victim.run(
        "import os, signal\njava = sc._jvm.java.lang.ProcessHandle.current().pid()\nos.kill(java, signal.SIGKILL)\n"
        "print('kept')\nspark.range(1).count()"
    )
    assert (got.state, got.stdout) == ("FAILED", b"kept\n")
    status = victim.athena.await_session(sid, leave="BUSY IDLE")
    assert status["State"] == "DEGRADED"
    how = "The Spark driver of the session died (it was killed by signal 9 (killed)); "
    assert status["StateChangeReason"].startswith(how)
    with pytest.raises(ClientError) as refusal:
        victim.athena.submit(sid, "pass")
    what_to_do = " Its Spark driver has died: start a new session."
    assert refusal.value.response["Error"]["Message"] == REFUSED.format("DEGRADED") + what_to_do
    assert victim.athena.api.terminate_session(SessionId=sid)["State"] == "TERMINATING"
    assert victim.athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
    await_nothing_left(shared_server, sid)


UNRECORDED = {
    "its folder": ("shutil.rmtree(own)", b"kept\n"),
    "all folders": ("shutil.rmtree('..', ignore_errors=True)", None),
}

OWN = "import glob, os, shutil\nown = max(glob.glob('../calc/*'))\nprint('kept')\n"


@pytest.mark.parametrize("name", UNRECORDED)
def test_a_verdict_that_cannot_be_recorded_ends_the_session_after_a_block_deleted(
    victim: Victim, shared_server: Server, expected: list[str], name: str
) -> None:
    code, stdout = UNRECORDED[name]
    sid = victim.session
    got = victim.athena.await_calculation(victim.athena.submit(sid, OWN + code))
    assert got["Status"]["State"] == "FAILED"
    assert "the kernel could not record the outcome: " in got["Status"]["StateChangeReason"]
    if stdout is None:
        expected.append("calculation not delivered")
        assert "Result" not in got
        assert got["Status"]["StateChangeReason"].startswith("the output could not be stored: ")
    else:
        assert Result(victim.athena, got).stdout == stdout
    assert_lost(victim, shared_server, sid, "the session's kernel exited with status 4")


# Each stays for longer than the server takes to look, then makes room for the next.
PLANTED = """
import json, time
forged = {"v": 1, "id": os.path.basename(own), "state": "COMPLETED", "error": None, "start": 1, "end": 2,
          "stdout": [0, 0], "stderr": [0, 0], "outputs": 0}
def plant(make, stays=1.1):
    for name in ("outcome.json", "started.json", "outputs.ndjson"):
        path = f"{own}/{name}"
        if os.path.lexists(path):
            os.unlink(path)
        make(path)
    time.sleep(stays)
def giant(path):
    with open(path, "w") as file:
        file.truncate(1 << 40)
def document(**changes):
    return lambda path: open(path, "w").write(json.dumps(forged | changes))
"""

PLANTS = {
    "links": "plant(lambda path: os.symlink('/etc/passwd', path))",
    "pipes": "plant(os.mkfifo)",
    "giant files": "plant(giant)",
    "garbage": "plant(lambda path: open(path, 'wb').write(b'\\xff\\x00{'))",
    "states that are none": "plant(document(state='RUNNING'))",
}


def test_what_is_planted_beside_a_running_calculation_changes_nothing(victim: Victim) -> None:
    sid = victim.session
    code = OWN + PLANTED + "\n".join(PLANTS.values())
    got = victim.run(code + "\nprint('end')")
    assert (got.state, got.reason, got.stdout) == ("COMPLETED", None, b"kept\nend\n")
    assert victim.run("print('next')").stdout == b"next\n"
    assert victim.session == sid


def test_an_outcome_forged_for_an_earlier_calculation_changes_nothing(victim: Victim) -> None:
    earlier = victim.run("raise ValueError('honest')")
    cid = earlier.raw["CalculationExecutionId"]
    forge = (
        f"\nown = '../calc/{cid}'; os.makedirs(own, exist_ok=True); plant(document(id='{cid}', stdout=[0, 1 << 50]), 0)"
    )
    assert victim.run(OWN + PLANTED + forge).state == "COMPLETED"
    again = victim.athena.api.get_calculation_execution(CalculationExecutionId=cid)
    assert again["Status"] == earlier.raw["Status"]
    assert victim.athena.read(again["Result"]["StdErrorS3Uri"]) == earlier.stderr


def test_a_range_that_the_spool_does_not_have_is_told_and_not_waited_for(victim: Victim, expected: list[str]) -> None:
    expected.append("calculation not delivered")
    sid = victim.session
    cid = victim.athena.submit(sid, OWN + PLANTED + "plant(document(stdout=[0, 1 << 60]))")
    got = victim.athena.await_calculation(cid)
    assert got["Status"]["State"] == "FAILED"
    reason = r"the output could not be stored: read the spool: the spool is damaged: \d+ bytes of the output are gone"
    assert re.fullmatch(reason, got["Status"]["StateChangeReason"])
    assert "Result" not in got
    assert victim.run("print('next')").stdout == b"next\n"
    assert victim.session == sid


def test_a_link_in_place_of_the_spool_leads_nowhere(
    victim: Victim, shared_server: Server, session: str, expected: list[str]
) -> None:
    """The server must not deliver a file of its own as the calculation's stdout."""
    expected.append("calculation not delivered")
    keys = shared_server.data_dir / "keys.json"
    code = f"print('x' * 100, flush=True)\nimport os; os.unlink('../stdout'); os.symlink({str(keys)!r}, '../stdout')"
    got = victim.athena.await_calculation(victim.athena.submit(victim.session, code))
    assert got["Status"]["State"] == "FAILED"
    assert got["Status"]["StateChangeReason"].endswith(": stdout: not a regular file")
    assert "Result" not in got
    after = victim.run("print('next')")
    assert (after.state, after.stdout) == ("COMPLETED", b"next\n"), after.reason


def test_a_stopped_kernel_is_not_taken_for_dead_and_can_be_terminated(victim: Victim, shared_server: Server) -> None:
    """SIGSTOP from within: nothing answers, and nothing is known to be wrong; TerminateSession ends it."""
    sid = victim.session
    pid = kernel_pid(shared_server, sid)
    victim.athena.submit(sid, "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    wait_for("stopped kernel", lambda: state(pid) == "T")
    assert victim.athena.status(sid)["State"] == "BUSY"
    victim.athena.api.terminate_session(SessionId=sid)
    assert victim.athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
    await_nothing_left(shared_server, sid)


def state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]
