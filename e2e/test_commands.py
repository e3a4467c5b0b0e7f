"""The commands, as a user types them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness import ERGANE, Athena, Server, clean_env, common_folder, wait_for
from harness.processes import command_line, processes_at

# How long processes may take to be gone: after 30 s an embedded S3 that was left behind would end by itself.
GONE = 30


def ergane(*args: str | Path, home: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ERGANE, *args], capture_output=True, text=True, env=clean_env(home) | (env or {}), cwd=home, timeout=300
    )


def begin(*args: str | Path, home: Path, under: Sequence[str] = (), program: Path = ERGANE) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    argv = [*under, program, *args]
    run = subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env=clean_env(home), cwd=home)
    begun.append(run)
    return run


begun: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def no_process_of_a_failed_test() -> Iterator[None]:
    yield
    while begun:
        with begun.pop() as run:
            run.kill()


def sentence(stderr: str) -> str:
    """The one sentence that a command says when it cannot do what it should."""
    own = [line for line in stderr.splitlines() if not line.startswith("time=")]
    assert len(own) == 1, stderr
    assert own[0].startswith("ergane: ")
    return own[0].removeprefix("ergane: ")


def await_nothing_left(data_dir: Path) -> None:
    wait_for(f"end of all processes of {data_dir}", lambda: not processes_at(data_dir), GONE)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data dir without a server; nothing is left of what a test started in it."""
    yield tmp_path / "data"
    await_nothing_left(tmp_path / "data")


@pytest.fixture(scope="module")
def orphan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data dir of a run that was killed with -9 in the middle of its calculation."""
    home = tmp_path_factory.mktemp("orphan")
    script = home / "code.py"
    script.write_text("print('begun', flush=True)\nimport time\ntime.sleep(1)")
    run = begin("run", "--data-dir", home / "data", script, home=home)
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    run.kill()
    run.communicate()
    return home / "data"


# run


def test_run_streams_as_it_goes_and_tells_how_it_ended(shared_server: Server, common: Path, orphan: Path) -> None:
    files = common / "files"
    (files / "sub").mkdir(parents=True)
    (files / "sub" / "people.csv").write_text("name\nada\ngrace\n")
    script, go = common / "count.py", common / "go"
    script.write_text(f"""
import os, sys, time
print("begun", sys.argv[0], sys.argv[2:])
print("aside", file=sys.stderr)
while not os.path.exists({str(go)!r}): time.sleep(0.01)
print(spark.read.csv(sys.argv[1] + "/sub/people.csv", header=True).count(), "people")
""")
    data = ("--data-dir", shared_server.data_dir)
    run = begin("run", *data, "--files", files, script, "--deep", "a b", "ü'\"", home=common)
    assert run.stdout is not None
    assert run.stdout.readline() == """begun count.py ['--deep', 'a b', 'ü\\'"']\n"""
    assert run.poll() is None  # the first line is here, and the code has not ended
    go.touch()
    out, err = run.communicate(timeout=600)
    assert (run.returncode, out) == (0, "2 people\n")
    said = err.splitlines()
    assert "aside" in said
    assert re.search(r"^calculation [-0-9a-f]{36} COMPLETED after [0-9.]+ s$", err, re.MULTILINE)
    assert {"COORDINATOR", "GATEWAY"} <= set(err.split())
    outputs = re.search(r"^outputs: (s3://ergane-results/primary/session/.*)/\{stdout,stderr,results\}$", said[-1])
    assert outputs
    athena = Athena(shared_server)
    assert athena.read(f"{outputs[1]}/stdout").endswith(b"2 people\n")
    # The server was there, so it stays; the session was not, so it went.
    assert shared_server.process is not None
    assert shared_server.process.poll() is None
    sid = outputs[1].split("/")[-2]
    assert athena.status(sid)["State"] == "TERMINATED"
    assert athena.api.get_session(SessionId=sid)["Description"] == "ergane run"


def test_run_takes_a_file_longer_than_a_block_and_fails_as_the_code_does(shared_server: Server, tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text("\n" + "# ünïcode\n" * 9_000 + "def f():\n    return 1 / 0\nprint('here')\nf()\n")
    done = ergane("run", "--data-dir", shared_server.data_dir, script, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "here\n")
    assert (
        """  File "<stdin>", line 9005, in <module>
  File "<stdin>", line 9003, in f
ZeroDivisionError: division by zero
"""
        in done.stderr
    )
    assert "compile(" not in done.stderr
    assert re.search("^calculation .* FAILED after .*: ZeroDivisionError: division by zero$", done.stderr, re.MULTILINE)


def test_run_fails_when_the_code_exits(shared_server: Server, tmp_path: Path) -> None:
    script = tmp_path / "code.py"
    script.write_text("import sys\nprint('bye')\nsys.exit('enough')\n")
    done = ergane("run", "--data-dir", shared_server.data_dir, script, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "bye\n")
    assert "SystemExit: enough" in done.stderr


def test_run_refuses_what_is_no_code_before_it_starts_anything(tmp_path: Path) -> None:
    latin = tmp_path / "latin.py"
    latin.write_bytes(b"print('\xe9')\n")
    done = ergane("run", latin, home=tmp_path)
    assert done.returncode == 1
    assert sentence(done.stderr) == f"{latin} is not UTF-8 text"
    missing = tmp_path / "missing.py"
    done = ergane("run", missing, home=tmp_path)
    assert done.returncode == 1
    assert sentence(done.stderr).startswith(f"<file>: stat {missing}: no such file or directory")
    assert not (tmp_path / ".local").exists()


def test_two_runs_at_once_share_a_server_that_ends_by_itself(data_dir: Path, common: Path) -> None:
    home = data_dir.parent
    script, go = home / "code.py", common / "go"
    wait = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    script.write_text(f"print('begun')\n{wait}print(spark.range(3).count())")
    runs = [begin("run", "--data-dir", data_dir, script, home=home) for _ in range(2)]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
    servers = [pid for pid in processes_at(data_dir) if b"\0serve\0" in command_line(pid)]
    assert len(servers) == 1
    go.touch()
    for run in runs:
        out, err = run.communicate(timeout=600)
        assert (run.returncode, out) == (0, "3\n"), err
        assert " COMPLETED after " in err
    await_nothing_left(data_dir)


def gated(home: Path, name: str) -> tuple[Path, Path]:
    """A file of code that says `begun` and goes on when the second path exists."""
    script, go = home / f"{name}.py", home / name
    wait = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    script.write_text(f"print('begun')\n{wait}print('over')")
    return script, go


def test_a_run_outlives_the_one_that_brought_the_server(data_dir: Path) -> None:
    """As programs of `go run`, which end with the process that started them; the server must not."""
    home = data_dir.parent
    program = home / "go-build1" / "ergane"
    program.parent.mkdir()
    shutil.copy(ERGANE, program)
    runs = []
    for name in ("first", "second"):
        script, go = gated(common_folder(), name)
        run = begin("run", "--data-dir", data_dir, script, home=home, program=program)
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        runs.append((run, go))
    for run, go in runs:  # the second one goes on after the first one's process is gone
        go.touch()
        out, err = run.communicate(timeout=600)
        assert (run.returncode, out) == (0, "over\n"), err
    await_nothing_left(data_dir)


def test_a_run_goes_on_over_a_restart_of_its_server(own_server: Server, common: Path) -> None:
    script, go = gated(common, "code")
    run = begin("run", "--data-dir", own_server.data_dir, script, home=common)
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    own_server.kill()
    own_server.start()
    go.touch()
    out, err = run.communicate(timeout=600)
    assert (run.returncode, out) == (0, "over\n"), err


def test_a_run_ends_with_a_sentence_when_its_server_is_gone_for_good(own_server: Server, common: Path) -> None:
    script, _ = gated(common, "code")
    run = begin("run", "--data-dir", own_server.data_dir, script, home=common)
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    own_server.kill()
    _, err = run.communicate(timeout=600)
    assert run.returncode == 1
    assert "the server does not answer" in err.splitlines()[-1]


def test_a_run_is_not_misled_by_what_a_dead_server_left(data_dir: Path, shared_server: Server) -> None:
    """Another data folder's server listens where the dead one did."""
    home = data_dir.parent
    script = home / "code.py"
    script.write_text("print('here')")
    data_dir.mkdir(mode=0o700)
    shutil.copy(shared_server.data_dir / "server.json", data_dir)
    done = ergane("run", "--data-dir", data_dir, script, home=home)
    assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr


def test_ctrl_c_and_sigterm_end_a_run_and_leave_nothing(data_dir: Path) -> None:
    home = data_dir.parent
    script = home / "code.py"
    script.write_text("print('begun')\nimport time\nwhile True: time.sleep(1)")
    runs = [begin("run", "--data-dir", data_dir, script, home=home) for _ in range(2)]
    for run, number in zip(runs, (signal.SIGINT, signal.SIGTERM), strict=True):
        assert run.stdout is not None
        assert run.stdout.readline() == "begun\n"
        run.send_signal(number)
    for run in runs:
        _, err = run.communicate(timeout=600)
        assert run.returncode == 1
        assert err.splitlines()[-1] == "ergane: interrupted"
    await_nothing_left(data_dir)


# serve


def test_serve_refuses_a_data_folder_in_use(shared_server: Server, tmp_path: Path) -> None:
    done = ergane("serve", "--listen", "127.0.0.1:0", "--data-dir", shared_server.data_dir, home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    said = sentence(done.stderr)
    assert said.startswith(f"a server already runs on {shared_server.data_dir} (process ")
    assert said.endswith("; stop it, or name another folder with --data-dir")
    assert shared_server.client("athena").list_work_groups()["WorkGroups"]  # and does it no harm


@pytest.mark.parametrize(("flag", "other"), [("--listen", "--s3-listen"), ("--s3-listen", "--listen")])
def test_serve_refuses_a_port_in_use(data_dir: Path, flag: str, other: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = ergane("serve", flag, address, other, "127.0.0.1:0", "--data-dir", data_dir, home=data_dir.parent)
    assert (done.returncode, done.stdout) == (1, "")
    said = sentence(done.stderr)
    assert address in said
    assert "in use by another program" in said
    assert flag in said


@pytest.mark.parametrize("flag", ["--listen", "--s3-listen"])
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:80", "example.com:80"])
def test_serve_refuses_to_be_open_to_other_machines(data_dir: Path, flag: str, address: str) -> None:
    done = ergane("serve", flag, address, "--data-dir", data_dir, home=data_dir.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence(done.stderr).startswith(f"{flag} {address} is open to other machines without TLS; give ")
    assert not data_dir.exists()


def test_serve_refuses_an_address_that_is_none(data_dir: Path) -> None:
    done = ergane("serve", "--listen", "7480", "--data-dir", data_dir, home=data_dir.parent)
    assert done.returncode == 1
    assert sentence(done.stderr) == "--listen 7480: not an address of the form host:port"


def test_serve_refuses_a_data_folder_that_cannot_be_made_or_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = ergane("serve", "--data-dir", tmp_path / "file" / "data", home=tmp_path)
    assert done.returncode == 1
    said = sentence(done.stderr)
    assert said.startswith("the data folder cannot be made; name another with --data-dir: ")
    assert said.endswith("not a directory")

    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    # Root is above modes, unless it gives its capabilities away.
    without = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    for folder, verb in ((locked, "written"), (locked / "data", "made")):
        done = subprocess.run(
            [*without, ERGANE, "serve", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--data-dir", folder],
            capture_output=True,
            text=True,
            env=clean_env(tmp_path),
            timeout=60,
        )
        assert done.returncode == 1
        said = sentence(done.stderr)
        assert said.startswith(f"the data folder cannot be {verb}; name another with --data-dir: ")
        assert said.endswith("permission denied")


@pytest.mark.parametrize("free", [0, 4, 8, 24, 100])
def test_serve_says_that_the_disk_is_full_and_starts_when_it_is_not(tmp_path: Path, free: int) -> None:
    """On a disk with so many kB free: too few for the probe, the port, S3, or the database."""
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    script = f"""
mount -t tmpfs -o size=1m,mode=0700 none {data_dir}
head -c {(1024 - free) * 1024} /dev/zero > {data_dir}/filler
"$@"; echo "status $?"
rm {data_dir}/filler
mount -o remount,size=64m {data_dir}
exec "$@"
"""
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*own, "mount", "-t", "tmpfs", "none", data_dir], capture_output=True).returncode != 0:
        pytest.skip("this machine lets its user mount nothing, so there is no disk to fill")
    serve = ("serve", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0", "--data-dir", data_dir)
    run = begin(*serve, home=tmp_path, under=[*own, "sh", "-c", script, "sh"])
    assert run.stdout is not None
    first = run.stdout.readline()
    assert first == "status 1\n", run.communicate(timeout=600)
    second = run.stdout.readline()
    assert second.startswith("ergane is ready: ")
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=600)
    assert run.returncode == 0
    assert re.search(
        f"(full|cannot be written); make space, or name another( folder)? with --data-dir: .*{data_dir}", sentence(err)
    )
    await_nothing_left(data_dir)


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_health_and_readiness_are_told_to_everybody(shared_server: Server) -> None:
    at = shared_server.env["AWS_ENDPOINT_URL_ATHENA"]
    assert get(f"{at}/healthz") == (200, b"ok\n")
    status, body = wait_for("readiness", lambda: got if (got := get(f"{at}/readyz"))[0] == 200 else None)
    told = json.loads(body)
    sandbox = told.pop("sandbox")
    assert (status, told) == (200, {"ready": True, "catalog": {"address": "off"}})
    assert sandbox["asked"] == "auto"
    assert sandbox["layers"].keys() == {"user", "mounts", "landlock", "pids", "group"}


# env, logs, doctor, version


def test_env_prints_what_every_client_reads(shared_server: Server, tmp_path: Path) -> None:
    done = ergane("env", "--data-dir", shared_server.data_dir, home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "unset AWS_PROFILE AWS_SESSION_TOKEN"
    assert [re.sub("=.*", "", line) for line in lines[1:]] == [
        "export AWS_ENDPOINT_URL_ATHENA",
        "export AWS_ENDPOINT_URL_S3",
        "export AWS_ACCESS_KEY_ID",
        "export AWS_SECRET_ACCESS_KEY",
        "export AWS_REGION",
        "export AWS_DEFAULT_REGION",
    ]


def test_env_without_a_server_says_what_to_do(tmp_path: Path) -> None:
    done = ergane("env", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence(done.stderr) == "no server runs on this data folder; start one with: ergane serve"


def test_logs_show_what_workers_print(shared_server: Server, athena: Athena, session: str, tmp_path: Path) -> None:
    assert athena.run(session, "sc.parallelize([1]).foreach(lambda _: print('printed by a worker'))").stdout == b""

    def look() -> str | None:
        done = ergane("logs", "--data-dir", shared_server.data_dir, session, home=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout if "printed by a worker\n" in done.stdout else None

    wait_for("the worker's words in the log", look)


def test_logs_of_no_session(shared_server: Server, tmp_path: Path) -> None:
    done = ergane("logs", "--data-dir", shared_server.data_dir, "../../etc", home=tmp_path)
    assert done.returncode == 1
    assert sentence(done.stderr) == '"../../etc" is not a session id'
    nobody = "11111111-2222-3333-4444-555555555555"
    done = ergane("logs", "--data-dir", shared_server.data_dir, nobody, home=tmp_path)
    assert done.returncode == 1
    assert sentence(done.stderr).startswith(f"session {nobody} left no log on this machine")


def test_doctor_finds_all_well(shared_server: Server, tmp_path: Path) -> None:
    done = ergane("doctor", "--json", "--data-dir", shared_server.data_dir, home=tmp_path)
    findings = {f["name"]: f for f in json.loads(done.stdout)}
    assert done.returncode == 0, findings
    assert {"data folder", "disk", "server", "loopback", "signatures", "session keys", "descriptors"} <= set(findings)
    assert shared_server.process is not None
    assert f"process {shared_server.process.pid}, " in findings["server"]["detail"]
    for layer in ("user", "mounts", "Landlock"):
        finding = findings[f"sandbox: {layer}"]
        assert finding["ok"] or (finding["detail"].startswith("not active: ") and finding["advice"])
    plain = ergane("doctor", "--data-dir", shared_server.data_dir, home=tmp_path)
    assert plain.returncode == 0
    assert all(name in plain.stdout for name in findings)


def test_doctor_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    done = ergane("doctor", "--json", "--engine-dir", tmp_path / "none", home=tmp_path)
    assert done.returncode == 1
    bad = [f for f in json.loads(done.stdout) if not f["ok"] and f["name"] != "sandbox"]
    assert [f["name"] for f in bad] == ["engine"]
    assert bad[0]["advice"] == "run: ergane setup"


def test_a_wrong_command_line_gets_a_sentence_and_none_gets_help(tmp_path: Path) -> None:
    for args in (["frobnicate"], ["serve", "--hold", "x"], ["run"]):
        done = ergane(*args, home=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert sentence(done.stderr).endswith("; see ergane --help")
    done = ergane(home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Run a Python file as a calculation in a fresh session." in done.stdout


def test_version(tmp_path: Path) -> None:
    done = ergane("version", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"ergane \d+\.\d+\.\d+( \([0-9a-f]{12}\))?\n", done.stdout)


# setup

NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}


def test_setup_without_a_network_says_so(tmp_path: Path) -> None:
    for _ in range(2):  # the second try finds what the first one left
        done = ergane("setup", "--engine-dir", tmp_path / "engines", home=tmp_path, env=NO_INDEX)
        assert done.returncode == 1
        said = done.stderr.splitlines()[-1]
        assert said.startswith("ergane: The package index cannot be reached, or does not have the file (")
        assert said.endswith("run the setup again; what is already there is kept.")


def test_setup_without_python_says_so(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = ergane("setup", "--engine-dir", tmp_path / "engines", home=tmp_path, env={"PATH": str(tmp_path / "bin")})
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert re.match(r"ergane: PySpark 3\.5\.\d+ needs Python 3\.\d+ to 3\.\d+; none was found: install one ", said)


def test_a_server_that_cannot_get_an_engine_lives_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    server = Server(tmp_path / "data").start("--engine-dir", str(tmp_path / "engines"))
    try:
        at = server.env["AWS_ENDPOINT_URL_ATHENA"]
        assert get(f"{at}/healthz") == (200, b"ok\n")

        def failed() -> tuple[int, bytes] | None:
            got = get(f"{at}/readyz")
            return got if b"error" in got[1] else None

        status, body = wait_for("failed setup", failed)
        assert status == 503
        assert "needs Python" in json.loads(body)["error"]
    finally:
        assert server.stop() == 0
    await_nothing_left(server.data_dir)


def test_a_run_that_cannot_get_an_engine_says_why_and_leaves_nothing(data_dir: Path) -> None:
    home = data_dir.parent
    (home / "code.py").touch()
    no_engine = ("--data-dir", data_dir, "--engine-dir", home / "engines")
    done = ergane("run", *no_engine, "code.py", home=home, env={"PATH": str(home)})
    assert done.returncode == 1
    assert "needs Python" in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("ergane: ")


# At the end, because it has the other tests' time to happen in.


def test_a_run_killed_with_9_leaves_nothing_for_long(orphan: Path) -> None:
    wait_for("end of the orphaned session", lambda: not processes_at(orphan))
