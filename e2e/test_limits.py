"""What an operator allows, seen by a client: a modelled refusal in the words that clients match, and nothing broken."""

from __future__ import annotations

import re
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness import Athena, Server, end
from harness.sessions import await_nothing_left, kernel_pid

TOO_MANY = "Maximum allowed sessions reached"  # dbt-athena matches it
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
PLAIN = {"retries": {"total_max_attempts": 1, "mode": "standard"}}


@pytest.fixture
def bounded(request: pytest.FixtureRequest, server_folder: Server) -> Iterator[Server]:
    yield server_folder.start(*request.param)
    end(server_folder)


@pytest.fixture
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server(tmp_path_factory.mktemp("bounded") / "data")


@pytest.mark.parametrize("bounded", [("--max-sessions", "2")], indirect=True)
def test_twelve_starts_at_once_against_a_limit_of_two_are_two(bounded: Server) -> None:
    athena = Athena(bounded, **PLAIN)
    begun: list[str] = []
    refused: list[dict[str, str]] = []

    def start() -> None:
        try:
            begun.append(athena.start())
        except ClientError as error:
            refused.append(error.response["Error"])

    threads = [threading.Thread(target=start) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(begun) == 2
    assert {e["Code"] for e in refused} == {"TooManyRequestsException"}
    assert all(TOO_MANY in e["Message"] for e in refused)
    assert len(refused) == 10
    for sid in begun:
        assert athena.await_session(sid)["State"] == "IDLE"
    athena.api.terminate_session(SessionId=begun[0])
    athena.session()  # the place of the one that left


@pytest.mark.parametrize("bounded", [("--max-memory", "3g")], indirect=True)
def test_memory_is_admitted_by_what_sessions_may_need(bounded: Server) -> None:
    athena = Athena(bounded, **PLAIN)
    for asked in (
        {"spark.driver.memory": "4g"},
        {" spark.driver.memory": "4g"},
        {"spark.driver.memory": "8796093022207m"},
    ):
        with pytest.raises(ClientError, match="MiB of memory, and this server gives its sessions 3072") as caught:
            athena.start(EngineConfiguration={"SparkProperties": asked})
        assert caught.value.response["Error"]["Code"] == "InvalidRequestException"
    athena.session()  # 1g and what is around it
    athena.start()
    with pytest.raises(ClientError, match=f"{TOO_MANY}: this server's sessions need 2848 of 3072 MiB of memory"):
        athena.start()


@pytest.mark.parametrize("bounded", [("--max-output", "1m")], indirect=True)
def test_a_calculation_over_a_bound_is_stopped_and_the_session_goes_on(bounded: Server) -> None:
    """One bound at a time: on a busy machine each could be the first."""
    athena = Athena(bounded)
    sid = athena.session()
    assert athena.run(sid, "kept = 7").state == "COMPLETED"
    result = athena.run(sid, "while True: print('x' * 1000)")
    reason = "it wrote more than 1048576 bytes to stdout"
    assert (result.state, result.reason) == ("FAILED", f"the calculation was stopped because {reason}")
    assert athena.run(sid, "print(kept)").stdout == b"7\n"
    assert bounded.stop() == 0
    bounded.start("--max-run-time", "2s")
    result = athena.run(sid, "while True: pass")
    assert (result.state, result.reason) == ("FAILED", "the calculation was stopped because it ran for more than 2s")
    assert bounded.stop() == 0
    bounded.start("--max-run-time", "0")
    assert athena.run(sid, "print(kept)").stdout == b"7\n"


@pytest.mark.parametrize("bounded", [("--max-disk", "50m")], indirect=True)
def test_a_session_that_fills_its_folder_is_stopped_and_can_clean_up(bounded: Server) -> None:
    athena = Athena(bounded)
    sid = athena.session()
    result = athena.run(sid, "import time\nopen('large', 'wb').write(b'x' * (60 << 20))\nwhile True: time.sleep(0.1)")
    assert result.state == "FAILED"
    assert result.reason is not None
    assert "the session's folder holds more than 52428800 bytes" in result.reason
    assert athena.run(sid, "import os; os.remove('large'); print('clean')").stdout == b"clean\n"


CHILD = """
import os, time
f = open("child", "wb")
f.write(bytes(60 << 20))
f.flush()
os.remove("child")
time.sleep(3600)
"""

# What takes 60 MB of the disk and does not look like it, and how to give it back.
HIDDEN = {
    "removed and open": (
        "f = open('large', 'wb')\nf.write(b'x' * (60 << 20))\nf.flush()\nos.remove('large')",
        "f.close()",
    ),
    "never named, in /tmp": (
        "f = open(os.open('/tmp', os.O_TMPFILE | os.O_RDWR), 'wb')\nf.write(b'x' * (60 << 20))\nf.flush()",
        "f.close()",
    ),
    "removed, in another process": (
        f"p = subprocess.Popen([sys.executable, '-c', {CHILD!r}])",
        "p.kill()\np.wait()",
    ),
    "empty": (
        "os.mkdir('many')\nfor n in range(60 << 8): open(f'many/{n}', 'x').close()",
        "shutil.rmtree('many')",
    ),
}


@pytest.mark.parametrize("bounded", [("--max-disk", "50m")], indirect=True)
def test_disk_that_hides_counts_too(bounded: Server) -> None:
    athena = Athena(bounded)
    sid = athena.session()
    for what, (fill, clean) in HIDDEN.items():
        code = f"import os, shutil, subprocess, sys, time\n{fill}\nwhile True: time.sleep(0.1)"
        result = athena.run(sid, code)
        assert result.state == "FAILED", what
        assert "the session's folder holds more than 52428800 bytes" in (result.reason or ""), (what, result.reason)
        assert athena.run(sid, f"{clean}\nprint('clean')").stdout == b"clean\n", what


@pytest.mark.parametrize("bounded", [("--max-disk", "50m")], indirect=True)
def test_a_session_that_writes_on_while_it_is_idle_is_ended_with_the_reason(bounded: Server, common: Path) -> None:
    athena = Athena(bounded)
    sid, other = athena.session(), athena.session()
    go = common / "go"
    code = f"""
import os, threading, time
def fill():
    while not os.path.exists({str(go)!r}): time.sleep(0.05)
    with open("large", "wb") as f:
        f.write(b"x" * (60 << 20))
threading.Thread(target=fill).start()
"""
    assert athena.run(sid, code).state == "COMPLETED"
    go.touch()
    status = athena.await_session(sid, leave="IDLE TERMINATING")
    assert status["State"] == "TERMINATED"
    why = "its folder grew to more than 52428800 bytes while no calculation ran"
    assert status["StateChangeReason"] == f"Session was terminated because {why}"
    assert athena.run(other, "print('unharmed')").stdout == b"unharmed\n"


# The path to the lowest folder has 300 kB; the system takes 4.
NEST = """
import os, time
at = os.open(".", os.O_RDONLY)
for _ in range(3000):
    os.mkdir("n" * 100, dir_fd=at)
    below = os.open("n" * 100, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
    os.close(at)
    at = below
with open(os.open("low", os.O_CREAT | os.O_WRONLY, dir_fd=at), "wb") as file:
    file.write(b"x" * (60 << 20))
"""


@pytest.mark.parametrize("bounded", [("--max-disk", "50m")], indirect=True)
def test_what_lies_beyond_the_longest_path_counts(bounded: Server) -> None:
    athena = Athena(bounded)
    sid = athena.session()
    result = athena.run(sid, NEST + "while True: time.sleep(0.1)")
    assert result.state == "FAILED"
    assert result.reason is not None
    assert "the session's folder holds more than 52428800 bytes" in result.reason


@pytest.mark.parametrize("bounded", [()], indirect=True)
def test_a_server_with_512_descriptors_removes_3000_nested_folders_that_nobody_may_write(bounded: Server) -> None:
    athena = Athena(bounded)
    sid = athena.session()
    assert bounded.process is not None
    resource.prlimit(bounded.process.pid, resource.RLIMIT_NOFILE, (512, 512))
    closing = "os.fchmod(at, 0o555)\nos.chmod('n' * 100, 0o555)"
    result = athena.run(sid, NEST + closing)
    assert result.state == "COMPLETED", result.stderr
    athena.api.terminate_session(SessionId=sid)
    assert athena.await_session(sid, leave="TERMINATING")["State"] == "TERMINATED"
    await_nothing_left(bounded, sid)
    assert "cannot remove a session's files" not in bounded.log.read_text()


@pytest.mark.parametrize("bounded", [()], indirect=True)
def test_sessions_have_the_descriptors_that_the_server_was_started_with(bounded: Server) -> None:
    """However many the server has taken for itself."""
    athena = Athena(bounded)
    sid = athena.session()
    limits = Path(f"/proc/{kernel_pid(bounded, sid)}/limits").read_text()
    found = re.search(r"^Max open files +\d+ +(\d+) ", limits, re.MULTILINE)
    assert found is not None
    assert int(found[1]) == HARD


@pytest.mark.parametrize("bounded", [("--api-rate", "5")], indirect=True)
def test_a_key_that_calls_too_often_is_throttled_and_sdks_get_through(bounded: Server) -> None:
    plain = Athena(bounded, **PLAIN)
    seen: dict[str, int] = {}
    for _ in range(100):
        try:
            plain.api.list_work_groups()
            code = "answered"
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = f"{status} {error.response['Error']['Code']}: {error.response['Error']['Message']}"
        seen[code] = seen.get(code, 0) + 1
    assert set(seen) == {"answered", "400 ThrottlingException: Rate exceeded"}
    assert seen["answered"] >= 5
    patient = Athena(bounded, retries={"total_max_attempts": 10, "mode": "standard"})
    end_at = time.monotonic() + 3
    while time.monotonic() < end_at:
        patient.api.list_work_groups()  # raises if ten attempts are too few
