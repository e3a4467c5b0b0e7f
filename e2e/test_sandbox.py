"""What a session's code can do to the server, to other sessions, and to this machine: nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Athena, Server, common_folder, end
from harness.processes import alive
from harness.sessions import await_nothing_left, folder, kernel_pid, s3_pid, shim_pid
from test_commands import ergane

# What harms everything that it can reach runs only where that is nothing: `make e2e` makes such a box.
boxed = pytest.mark.skipif("ERGANE_TEST_BOX" not in os.environ, reason="it could harm the machine: make e2e has a box")

# Each is an expression that raises where it is refused. The test runs them, too: there, nothing is refused.
ATTACKS = {
    "read the server's keys": "open(f'{data}/keys.json').read()",
    "read the database": "open(f'{data}/ergane.db', 'rb').read(1)",
    "change the database": "open(f'{data}/ergane.db', 'r+b').close()",
    "list the data folder": "found(data, 'ergane.db')",
    "list the sessions": "found(f'{data}/sessions', os.path.basename(other))",
    "read the files of the embedded S3": "os.listdir(f'{data}/s3')",
    "read another session's output": "open(f'{other}/work/stdout', 'rb').read()",
    "change another session's output": "open(f'{other}/work/stdout', 'ab').close()",
    "list another session's folder": "os.listdir(f'{other}/work')",
    "connect to another session's kernel": "connect(f'{other}/work/kernel.sock')",
    "change its own handle": "open(f'{own}/handle.json', 'r+b').close()",
    "list its own folder's server part": "found(own, 'handle.json')",
    "read the home": "os.listdir(home)",
    "signal the server": "os.kill(that(server), 0)",
    "signal its own shim": "os.kill(that(shim), 0)",
    "signal another session's kernel": "os.kill(that(kernel), 0)",
    "read the server's environment": "open(f'/proc/{that(server)}/environ', 'rb').read(1)",
    "read another kernel's environment": "open(f'/proc/{that(kernel)}/environ', 'rb').read(1)",
    "read the server's memory": "open(f'/proc/{that(server)}/mem', 'rb').close()",
    "look through the server's folder": "os.listdir(f'/proc/{that(server)}/cwd/')",
    "look through another kernel's root": "os.listdir(f'/proc/{that(kernel)}/root/')",
    "change the system": "open('/etc/hosts', 'ab').close()",
    "change the engine": "open(sys.executable, 'ab').close() if inside else open('/etc/hosts', 'ab').close()",
    "write beside its folder": "open(f'{data}/planted', 'xb').close() or os.unlink(f'{data}/planted')",
    "mount": "mount()",
}

# Names that the attacks use.
TOOLS = """
import ctypes, json, os, socket, sys

def connect(path):
    folder = os.open(os.path.dirname(path), os.O_PATH)  # a socket's name may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)

def that(pid):
    # In a process namespace the number leads to nothing, or to a process of the session's own.
    if inside and os.readlink("/proc/self/ns/pid") != space and os.path.exists(f"/proc/{pid}"):
        raise ProcessLookupError(pid)
    return pid

def found(folder, name):
    if name not in os.listdir(folder):  # folders on the way to its own are there, and nothing else in them
        raise FileNotFoundError(name)

def mount():
    libc = ctypes.CDLL(None, use_errno=True)
    os.makedirs(point, exist_ok=True)
    if libc.mount(b"tmpfs", point.encode(), b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), "mount")
    libc.umount(point.encode())

def attack(attacks):
    done = {}
    for name, code in attacks.items():
        try:
            eval(code)
            done[name] = "done"
        except OSError as error:
            done[name] = f'{type(error).__name__}: {error}' if not inside else type(error).__name__
    return done
"""


@pytest.fixture(scope="module")
def sessions(athena: Athena) -> Iterator[tuple[str, str]]:
    """Two of them: the one that attacks, and the other."""
    pair = athena.session(), athena.session()
    yield pair
    for sid in pair:
        athena.api.terminate_session(SessionId=sid)


@pytest.fixture(scope="module")
def known(shared_server: Server, sessions: tuple[str, str]) -> dict[str, object]:
    """All that an attacker would have to find out first."""
    own, other = sessions
    assert shared_server.process is not None
    return {
        "data": str(shared_server.data_dir),
        "own": str(folder(shared_server, own)),
        "other": str(folder(shared_server, other)),
        "home": str(Path.home()),
        "server": shared_server.process.pid,
        "shim": shim_pid(shared_server, own),
        "kernel": kernel_pid(shared_server, other),
        "point": str(common_folder() / "point"),
        "space": os.readlink("/proc/self/ns/pid"),
    }


def test_nothing_outside_of_a_session_can_be_reached(
    athena: Athena, sessions: tuple[str, str], known: dict[str, object]
) -> None:
    here: dict[str, object] = {**known, "inside": False}
    exec(TOOLS, here)
    allowed = here["attack"](ATTACKS)  # type: ignore[operator]
    refused = {name: how for name, how in allowed.items() if how != "done"}
    assert refused == {}  # so that what is refused below is there
    code = f"{TOOLS}\nglobals().update({known!r}, inside=True)\nprint(json.dumps(attack({ATTACKS!r})))"
    got = athena.run(sessions[0], code)
    assert got.state == "COMPLETED", got.stderr
    done = json.loads(got.stdout)
    assert len(done) == len(ATTACKS)
    assert [name for name, how in done.items() if how == "done"] == []
    assert athena.run(sessions[1], "print('unharmed')").stdout == b"unharmed\n"


def test_sessions_have_users_and_temporary_files_of_their_own(athena: Athena, sessions: tuple[str, str]) -> None:
    one, other = sessions
    code = """
import getpass, os, tempfile
open("/tmp/mine", "w").write("mine")
open(os.path.expanduser("~/mine"), "w").write("mine")
print(os.getuid(), getpass.getuser(), tempfile.gettempdir() != "/tmp")
"""
    uid, name, own_tmp = athena.run(one, code).stdout.decode().split()
    assert (name, own_tmp) == ("ergane", "True")
    look = "import os\nprint(os.getuid(), os.path.exists('/tmp/mine'), os.path.exists(os.path.expanduser('~/mine')))"
    assert athena.run(one, look).stdout.decode().split() == [uid, "True", "True"]
    theirs, *there = athena.run(other, look).stdout.decode().split()
    assert there == ["False", "False"]
    if os.geteuid() == 0:
        assert len({uid, theirs, "0"}) == 3


def test_what_sessions_do_works(athena: Athena, sessions: tuple[str, str]) -> None:
    code = """
import multiprocessing, subprocess, sys
import pandas as pd
from pyspark.sql.functions import pandas_udf

@pandas_udf("long")
def plus(x: pd.Series) -> pd.Series:
    return x + 1

spark.range(10).select(plus("id").alias("n")).write.mode("overwrite").parquet("s3://ergane-files/sandbox/n")
print(spark.read.parquet("s3://ergane-files/sandbox/n").toPandas()["n"].sum())
spark.range(3).write.mode("overwrite").csv("file:///tmp/three")
print(spark.read.csv("file:///tmp/three").count())
print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout.strip())
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(sum(pool.map(abs, [-1, -2])))
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(abs, [-4]))
"""
    got = athena.run(sessions[0], code)
    assert got.stdout.decode().split() == ["55", "3", "42", "3", "4"], got.stderr.decode()[-2000:]


# None of its processes ever ends, and each of them makes more.
BOMB = """
import errno, os, signal, time
children = []
try:
    while len(children) < 3000:
        pid = os.fork()
        if not pid:
            time.sleep(600)
            os._exit(0)
        children.append(pid)
    print("no limit")
except OSError as error:
    print(errno.errorcode[error.errno])
for pid in children:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print(len(children) < 600)
"""


@boxed
def test_a_fork_bomb_harms_its_own_session_alone(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "only root can give sessions users of their own, whose processes are counted"
    server = Server(tmp_path / "data").start("--max-processes", "600")
    athena = Athena(server)
    bomber, other = athena.session(), athena.session()
    got = athena.run(bomber, BOMB)
    assert got.stdout.decode().split() == ["EAGAIN", "True"], got.stderr
    assert athena.run(other, "print('unharmed')").stdout == b"unharmed\n"
    assert athena.run(bomber, "print(spark.range(5).count())").stdout == b"5\n"
    end(server)


def test_a_sandbox_that_is_off_is_off_and_doctor_says_so(tmp_path: Path) -> None:
    """The control of the tests above: without it all of that works."""
    server = Server(tmp_path / "data").start("--sandbox", "off")
    athena = Athena(server)
    sid = athena.session()
    got = athena.run(sid, f"import os\nprint(os.getuid(), len(open('{server.data_dir}/keys.json').read()) > 100)")
    assert got.stdout.decode().split() == [str(os.geteuid()), "True"]
    athena.terminate(sid)
    assert server.stop() == 0
    found = json.loads(ergane("doctor", "--json", "--sandbox", "off", home=tmp_path).stdout)
    assert [f["ok"] for f in found if f["name"] == "sandbox"] == [False]
    found = json.loads(ergane("doctor", "--json", home=tmp_path).stdout)
    assert {f["name"] for f in found} >= {"sandbox: user", "sandbox: mounts", "sandbox: Landlock"}


def test_a_kernel_dies_with_its_shim(athena: Athena, shared_server: Server) -> None:
    """Becoming another user undoes what ties a process to its parent; it is tied again."""
    sid = athena.session()
    shim, kernel = shim_pid(shared_server, sid), kernel_pid(shared_server, sid)
    os.kill(shim, 9)
    assert athena.await_session(sid, leave="IDLE")["State"] == "FAILED"
    assert not alive(kernel)


IDENTITY = """
def identity(number):
    try:
        with open(f"/proc/{number}/stat") as stat, open(f"/proc/{number}/cmdline") as command:
            return stat.read().rpartition(")")[2].split()[19], command.read()
    except OSError:
        return None
"""


def identity(number: int) -> tuple[str, str]:
    names: dict[str, Any] = {}
    exec(IDENTITY, names)
    return names["identity"](number)


def test_a_session_sees_no_process_but_its_own(athena: Athena, sessions: tuple[str, str], tmp_path: Path) -> None:
    words = {f["name"]: f for f in json.loads(ergane("doctor", "--json", home=tmp_path).stdout)}
    assert words["sandbox: pids"]["ok"], words["sandbox: pids"]
    code = """
import glob
for path in glob.glob("/proc/[0-9]*/cmdline"):
    print(path.split("/")[2], open(path).read().split("\\0")[:2])
"""
    seen = dict(line.split(" ", 1) for line in athena.run(sessions[0], code).stdout.decode().splitlines())
    assert "confine" in seen.pop("1")  # what reaps them
    assert 1 < len(seen) < 30
    assert not [argv for argv in seen.values() if "serve" in argv or "shim" in argv or "'s3'" in argv]


@pytest.mark.parametrize(
    "whom", ["another's kernel", "another's shim", "its own shim", "the server", "the embedded S3"]
)
def test_no_process_but_its_own_can_be_touched(
    athena: Athena, shared_server: Server, sessions: tuple[str, str], whom: str
) -> None:
    assert shared_server.process is not None
    pid = {
        "another's kernel": kernel_pid(shared_server, sessions[1]),
        "another's shim": shim_pid(shared_server, sessions[1]),
        "its own shim": shim_pid(shared_server, sessions[0]),
        "the server": shared_server.process.pid,
        "the embedded S3": s3_pid(shared_server),
    }[whom]
    signals = [int(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGSTOP, signal.SIGKILL)]
    code = f"""
import ctypes, os, signal
{IDENTITY}
# By its number, or in a process namespace by whatever number it may have there.
numbers = [{pid}]
if os.readlink("/proc/self/ns/pid") != {os.readlink("/proc/self/ns/pid")!r}:
    numbers = [int(n) for n in os.listdir("/proc") if n.isdigit() and identity(n) == {identity(pid)!r}]
done = []
for pid in numbers:
    attacks = [lambda s=s: os.kill(pid, s) for s in {signals}]
    attacks += [lambda: signal.pidfd_send_signal(os.pidfd_open(pid), 9)]
    files = ("environ", "maps", "mem", "cwd/x", "root/etc/shadow")
    attacks += [lambda n=n: open(f"/proc/{{pid}}/" + n, "rb") for n in files]
    attacks += [lambda: os.sched_setaffinity(pid, [0])]
    for n, attack in enumerate(attacks):
        try:
            attack()
            done.append(n)
        except PermissionError:
            pass
    if ctypes.CDLL(None).ptrace(16, pid, 0, 0) != -1:
        done.append("ptrace")
print(done)
"""
    assert athena.run(sessions[0], code).stdout == b"[]\n"
    assert alive(pid)
    assert athena.run(sessions[1], "print('unharmed')").stdout == b"unharmed\n"


@boxed
def test_what_kills_everything_kills_only_itself(athena: Athena, shared_server: Server) -> None:
    sid = athena.session()
    cid = athena.submit(sid, "import os; os.kill(-1, 9); os.kill(os.getpid(), 9)")
    got = athena.await_calculation(cid)["Status"]
    assert (got["State"], got["StateChangeReason"]) == (
        "FAILED",
        "the session's kernel was killed by signal 9 (killed)",
    )
    await_nothing_left(shared_server, sid)


def test_a_socket_without_a_path_is_its_sessions_own(athena: Athena, sessions: tuple[str, str]) -> None:
    name = f"\\0ergane-test-{os.getpid()}"
    listen = f"import socket; peer = socket.socket(socket.AF_UNIX); peer.bind('{name}'); peer.listen()"
    dial = f"import socket; socket.socket(socket.AF_UNIX).connect('{name}'); print('connected')"
    assert athena.run(sessions[1], listen).state == "COMPLETED"
    assert athena.run(sessions[1], dial).stdout == b"connected\n"
    got = athena.run(sessions[0], dial)
    assert (got.state, got.reason) == ("FAILED", "PermissionError: [Errno 1] Operation not permitted")


MORE = """
import os, resource, stat, subprocess
run = lambda *argv: subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
attacks = [
    lambda: os.setuid(0),
    lambda: os.setgroups([0]),
    lambda: os.chroot("/"),
    lambda: os.mknod("disk", 0o660 | stat.S_IFBLK, os.makedev(254, 0)),
    lambda: run("umount", "/tmp"),
    lambda: run("unshare", "--user", "--map-root-user", "--mount", "umount", "/tmp"),
    lambda: open("/proc/sys/kernel/core_pattern", "w"),
    lambda: open("/etc/shadow"),
    lambda: os.listdir("/run")[0],
    lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)),
]
for n, attack in enumerate(attacks):
    try:
        attack()
        print("done:", n)
    except (OSError, ValueError, subprocess.CalledProcessError):
        pass
"""


def test_a_session_cannot_become_more_than_it_is(athena: Athena, sessions: tuple[str, str]) -> None:
    assert athena.run(sessions[0], MORE).stdout == b""
    got = athena.run(sessions[0], "print(open('/proc/self/status').read())")
    status = dict(line.split(":", 1) for line in got.stdout.decode().splitlines() if line)
    assert status["NoNewPrivs"].strip() == "1"
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}


def test_nothing_of_the_server_is_open_in_a_session(shared_server: Server, sessions: tuple[str, str]) -> None:
    own = folder(shared_server, sessions[0])
    for fd in Path(f"/proc/{kernel_pid(shared_server, sessions[0])}/fd").iterdir():
        to = os.readlink(fd)
        mine = (f"{own}/work", f"{own}/spawn.log", "pipe:", "socket:", "anon_inode:", "/dev/null", "/memfd:")
        assert to.startswith(mine) or "/site-packages/" in to, (fd.name, to)


NEEDED = """
import os, pathlib, shutil, socket
from multiprocessing.shared_memory import SharedMemory
import matplotlib.pyplot as plt
assert os.path.expanduser("~") == os.environ["HOME"] == str(pathlib.Path.home())
open("/var/tmp/other", "w").close()
memory = SharedMemory(create=True, size=1 << 20)
memory.close()
memory.unlink()
parent, child = os.openpty()
assert os.isatty(child)
socket.gethostbyname("localhost")
os.makedirs("a/b")
open("a/b/c", "w").close()
os.rename("a/b/c", "c")
shutil.move("c", "/tmp/c")
os.makedirs("/tmp/a/b")
os.rename("/tmp/c", "/tmp/a/b/c")
plt.plot([1, 2])
plt.savefig("figure.png")
spark.range(5).write.saveAsTable("in_the_warehouse")
assert spark.table("in_the_warehouse").count() == 5
"""


def test_what_programs_need_of_a_machine_is_there(athena: Athena, sessions: tuple[str, str]) -> None:
    got = athena.run(sessions[0], NEEDED)
    assert got.state == "COMPLETED", got.stderr.decode()


def test_a_path_that_is_allowed_is_there_to_read_or_to_write(tmp_path: Path) -> None:
    closed, read, write = tmp_path / "closed", tmp_path / "read", tmp_path / "write"
    for place in (closed, read, write):
        place.mkdir()
        place.chmod(0o777)
        (place / "data.csv").write_text("1\n2\n")
    server = Server(tmp_path / "data")
    server.start("--allow-path", str(read), "--allow-path", f"{write}:rw")
    athena = Athena(server)
    sid = athena.session()
    for place in (read, write):
        got = athena.run(sid, f"print(spark.read.csv('file://{place}/data.csv').count())")
        assert got.stdout == b"2\n", got.stderr
    assert athena.run(sid, f"open('{write}/more', 'w').write('x')").state == "COMPLETED"
    assert (write / "more").read_text() == "x"
    for code, error in ((f"open('{read}/more', 'w')", "OSError"), (f"open('{closed}/data.csv')", "FileNotFoundError")):
        assert (athena.run(sid, code).reason or "").startswith(error)
    end(server)


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp"])
def test_temporary_folders_are_writable_where_data_and_what_is_allowed_lie_in_them(place: str) -> None:
    """internal/sandbox has the same for what an engine reads, which cannot be moved."""
    folder = Path(tempfile.mkdtemp(prefix="ergane-test-", dir=place))
    allowed = folder / "allowed"
    try:
        allowed.mkdir()
        for path in (folder, allowed):
            path.chmod(0o755)  # sessions have users of their own
        (allowed / "data").write_text("read")
        server = Server(folder / "data").start("--allow-path", str(allowed))
        athena = Athena(server)
        code = f"""
import os
for place in ("/tmp", "/var/tmp"):
    open(place + "/mine", "w").write("mine")
    os.makedirs(place + "/a", exist_ok=True)
    os.rename(place + "/mine", place + "/a/mine")
spark.range(3).write.csv("file:///var/tmp/three")
print(spark.read.csv("file:///var/tmp/three").count(), open({str(allowed / "data")!r}).read())
print(os.path.exists({str(server.data_dir / "keys.json")!r}))
"""
        got = athena.run(athena.session(), code)
        assert got.stdout == b"3 read\nFalse\n", got.stderr
        assert not Path("/tmp/a").exists()
        assert not Path("/var/tmp/three").exists()
        end(server)
    finally:
        shutil.rmtree(folder)
