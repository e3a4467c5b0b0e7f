"""Control groups: what a session takes, it takes from itself alone, and nothing of it outlives its group."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Athena, Server, end, running, wait_for
from harness.processes import GONE_LIMIT, alive, kill
from harness.sessions import await_nothing_left, folder, groups_of, kernel_pid, outside, shim_pid
from test_commands import ergane

# Less than the default, so that its end comes sooner.
SMALL = {"MaxConcurrentDpus": 2, "SparkProperties": {"spark.driver.memory": "512m"}}
LEAST = 512 + 400  # MiB that such a session is admitted with


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("groups")) as server:
        yield server
    assert groups_of(server) == []


@pytest.fixture(scope="module")
def athena(server: Server) -> Athena:
    return Athena(server)


def told(*args: str, home: Path) -> dict[str, Any]:
    found = json.loads(ergane("doctor", "--json", *args, home=home).stdout)
    return next(f for f in found if f["name"] == "sandbox: group")


@pytest.fixture(scope="module")
def granted(server: Server, tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether the machine lets the server make groups; where it does not, doctor says why and what to do."""
    finding = told("--data-dir", str(server.data_dir), home=tmp_path_factory.mktemp("home"))
    if finding["ok"]:
        assert finding["detail"].startswith("active: ")
        return True
    assert re.fullmatch("not active: .{10,}", finding["detail"]), finding
    assert "docs/ergane.service" in finding["advice"]
    return False


def group(server: Server, sid: str) -> dict[str, Any]:
    return json.loads((folder(server, sid) / "group.json").read_text())


def shortage(server: Server, sid: str) -> str:
    """What is said of a session that has come to its limit."""
    limit = group(server, sid)["memory"] >> 20
    assert limit > LEAST
    return (
        f"out of memory: the session's limit of {limit} MiB is reached; "
        "a larger spark.driver.memory or spark.driver.memoryOverhead raises it"
    )


def test_doctor_tries_it_without_a_server_and_leaves_nothing(tmp_path: Path, granted: bool) -> None:
    assert told("--data-dir", str(tmp_path / "data"), home=tmp_path)["ok"] == granted
    assert list((tmp_path / "data").glob(".sandbox-*")) == []  # a group that is left would have been told


def test_a_session_without_groups_runs_all_the_same(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start("--sandbox", "off")
    athena = Athena(server)
    sid = athena.session()
    assert athena.run(sid, "print(1)").stdout == b"1\n"
    assert groups_of(server) == []
    end(server)


# The processes of it that are not the shim's.
MEMBERS = """
import glob, os
found = {}
for path in glob.glob("/proc/[0-9]*/cgroup"):
    try:
        found[int(path.split("/")[2])] = sum("SID" in line for line in open(path))
    except OSError:
        pass
print(sorted(found[pid] for pid in (os.getpid(), sc._jvm.java.lang.ProcessHandle.current().pid())))
"""


def test_a_kernel_and_its_driver_are_in_its_group_and_its_shim_is_not(
    server: Server, athena: Athena, granted: bool
) -> None:
    sid = athena.session()
    got = athena.run(sid, MEMBERS.replace("SID", sid))
    hierarchies = len(group(server, sid)["dirs"]) if granted else 0
    assert got.stdout.decode().split() == [f"[{hierarchies},", f"{hierarchies}]"]
    assert sid not in Path(f"/proc/{shim_pid(server, sid)}/cgroup").read_text()
    assert sorted(path.name for path in groups_of(server)) == [sid] * hierarchies
    athena.terminate(sid)
    assert sid not in {path.name for path in groups_of(server)}


EAT = """
import ctypes
ctypes.memset(ctypes.create_string_buffer(MIB << 20), 1, MIB << 20)
print("eaten")
"""


def test_a_session_that_takes_too_much_dies_of_it_alone(server: Server, athena: Athena, granted: bool) -> None:
    if not granted:
        return  # and doctor says so
    glutton, other = athena.session(EngineConfiguration=SMALL), athena.session()
    assert athena.run(other, "x = 1").state == "COMPLETED"
    why, limit = shortage(server, glutton), group(server, glutton)["memory"] >> 20
    got = athena.run(glutton, EAT.replace("MIB", str(limit + 64)))
    reason = f"the session's kernel was killed by signal 9 (killed): {why}"
    assert (got.state, got.reason, got.stdout) == ("FAILED", reason, b"")
    status = athena.status(glutton)
    assert (status["State"], status["StateChangeReason"]) == ("FAILED", reason)
    await_nothing_left(server, glutton)
    assert glutton not in {path.name for path in groups_of(server)}
    assert athena.run(other, "print(x, spark.range(3).count())").stdout == b"1 3\n"


CHILD = """
import subprocess, sys
subprocess.run([sys.executable, "-c", {code!r}], check=True, stderr=subprocess.DEVNULL)
"""

# What the driver's own limit does not count.
DRIVER = """
field = sc._jvm.java.lang.Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe")
field.setAccessible(True)
memory = field.get(None)
at = memory.allocateMemory({bytes})
memory.setMemory(at, {bytes}, 1)
"""


def test_a_session_whose_processes_take_too_much_says_so(server: Server, athena: Athena, granted: bool) -> None:
    if not granted:
        return  # and doctor says so
    sid = athena.session(EngineConfiguration=SMALL)
    why, limit = shortage(server, sid), group(server, sid)["memory"] >> 20
    got = athena.run(sid, CHILD.format(code=EAT.replace("MIB", str(limit + 64))))
    assert got.state == "FAILED"
    assert (got.reason or "").startswith(f"{why}; Linux killed one of its processes: "), got
    got = athena.run(sid, "print(spark.range(3).count())\n1 / 0")
    assert (got.reason, got.stdout) == ("ZeroDivisionError: division by zero", b"3\n")
    got = athena.run(sid, DRIVER.format(bytes=(limit + 64) << 20))
    assert got.state == "FAILED"
    assert (got.reason or "").startswith(f"{why}; Linux killed one of its processes: "), got.reason
    status = athena.await_session(sid, leave="BUSY IDLE")
    assert (status["State"], status["StateChangeReason"]) == (
        "DEGRADED",
        f"The Spark driver of the session died (it was killed by signal 9 (killed): {why}); "
        "its Python variables live on, but Spark does not. Start a new session.",
    )
    athena.api.terminate_session(SessionId=sid)
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"


HONEST = """
import pandas as pd
from pyspark.sql.functions import pandas_udf
frame = pd.DataFrame({"n": range(5_000_000)})  # in Python's own memory
frame["m"] = frame["n"].astype(str)

@pandas_udf("long")
def plus(n: pd.Series) -> pd.Series:
    return n + 1

print(spark.range(2_000_000).select(plus("id").alias("n")).selectExpr("sum(n)").first()[0], len(frame))
"""


def test_honest_code_has_room(athena: Athena) -> None:
    sid = athena.session()
    got = athena.run(sid, HONEST)
    assert got.stdout == b"2000001000000 5000000\n", (got.reason, got.stderr[-1000:])
    athena.api.terminate_session(SessionId=sid)


# Nobody's children, with no trace of the session in their environment, folder, or Linux session.
SCATTER = """
import os
os.chdir("/")
pids = []
for _ in range(20):
    read, write = os.pipe()
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.write(write, str(os.getpid()).encode())
            os.execve("/bin/sleep", ["sleep", "600"], {})
        os._exit(0)
    os.close(write)
    pids.append(int(os.read(read, 20)))
print(*pids)
"""


@pytest.mark.parametrize("end_of", ["the session", "the kernel", "the shim", "the server and the shim"])
def test_nothing_outlives_its_session(server: Server, athena: Athena, end_of: str) -> None:
    sid = athena.session()
    left = outside(server, sid, *(int(pid) for pid in athena.run(sid, SCATTER).stdout.split()))
    assert len(left) == 20
    assert all(alive(pid) for pid in left)
    if end_of == "the session":
        athena.api.terminate_session(SessionId=sid)
    elif end_of == "the kernel":
        kill(kernel_pid(server, sid))
    elif end_of == "the shim":
        kill(shim_pid(server, sid))
    else:
        server.kill()
        kill(shim_pid(server, sid))
        server.start()
        athena = Athena(server)
    athena.await_session(sid, leave="IDLE TERMINATING")
    await_nothing_left(server, sid)
    assert not [pid for pid in left if alive(pid)]
    wait_for("end of the group", lambda: sid not in {path.name for path in groups_of(server)}, GONE_LIMIT)


def test_a_session_that_is_adopted_keeps_its_group(server: Server, granted: bool) -> None:
    athena = Athena(server)
    sid = athena.session(EngineConfiguration=SMALL)
    there = groups_of(server)
    assert (sid in {path.name for path in there}) == granted
    server.kill()
    server.start()
    athena = Athena(server)
    assert athena.run(sid, "print(spark.range(3).count())").stdout == b"3\n"
    assert set(there) <= set(groups_of(server))
    if granted:
        why, limit = shortage(server, sid), group(server, sid)["memory"] >> 20
        got = athena.run(sid, CHILD.format(code=EAT.replace("MIB", str(limit + 64))))
        assert (got.reason or "").startswith(f"{why}; Linux killed one of its processes: "), got.reason
    athena.api.terminate_session(SessionId=sid)
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"


def attacks(server: Server, sid: str) -> dict[str, str]:
    """What would set a session free of its group, for someone who may write there."""
    code = {}
    for path in group(server, sid)["dirs"]:
        code[f"a group below {path}"] = f"os.rmdir(os.mkdir('{path}/below') or '{path}/below')"
        for file in ("cgroup.procs", "memory.limit_in_bytes", "memory.max", "pids.max", "cgroup.subtree_control"):
            for at in (Path(path), Path(path).parent, Path(path).parent.parent):
                if (at / file).exists():
                    code[f"{at / file}"] = f"open('{at / file}', 'r+').close()"
    return code


TRY = """
import json, os
done = []
for name, code in {attacks!r}.items():
    try:
        eval(code)
        done.append(name)
    except OSError:
        pass
print(json.dumps(done))
"""


def test_a_session_cannot_leave_its_group_or_change_it(server: Server, granted: bool) -> None:
    athena = Athena(server)
    if not granted:
        return  # and doctor says so
    sid = athena.session()
    tried = attacks(server, sid)
    assert len(tried) > 5
    for code in tried.values():
        eval(code, {"os": os})  # from outside, nothing is refused
    assert json.loads(athena.run(sid, TRY.format(attacks=tried)).stdout) == []
    athena.api.terminate_session(SessionId=sid)


def test_the_result_of_a_session_at_its_limit_is_whole(server: Server, granted: bool) -> None:
    """What it had printed is there, although its kernel was killed in the middle."""
    if not granted:
        return  # and doctor says so
    athena = Athena(server)
    sid = athena.session(EngineConfiguration=SMALL)
    limit = group(server, sid)["memory"] >> 20
    code = "for n in range(100_000):\n    print(n)\n" + EAT.replace("MIB", str(limit + 64))
    got = athena.result(athena.submit(sid, code))
    assert (got.state, got.stdout) == ("FAILED", b"".join(b"%d\n" % n for n in range(100_000)))
