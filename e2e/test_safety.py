"""Secrets, and who can read what."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness import Athena, Server
from harness.places import files_below


def test_no_secret_is_where_others_can_read_it(shared_server: Server, athena: Athena, session: str) -> None:
    code = "import os\nprint(os.environ['AWS_SECRET_ACCESS_KEY'])\nprint(spark.range(2).rdd.map(lambda i: i.id).sum())"
    secrets = set(athena.run(session, code).stdout.decode().splitlines()[:1])
    keys = json.loads((shared_server.data_dir / "keys.json").read_text())
    secrets |= {keys["secret_access_key"], keys["master"]}
    assert all(len(s) >= 40 for s in secrets)
    # A signature and a kernel's token are 64 hexadecimal digits.
    leak = re.compile("|".join(map(re.escape, secrets)) + r"|(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
    logs = [shared_server.log, *(p for p, _ in files_below(shared_server.data_dir) if p.suffix == ".log")]
    for log in logs:
        with contextlib.suppress(FileNotFoundError):  # its session may end meanwhile
            assert not leak.search(log.read_text(errors="replace")), log
    seen, found = set(), False
    assert shared_server.process is not None
    for pid in [shared_server.process.pid, *shared_server.session_processes()]:
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            environ = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if not argv:
            continue  # it is ending
        name, kind = kind_of(argv)
        assert not leak.search(argv.replace("\0", " ")), name
        # Spark and its workers have the session's keys, as its code has.
        assert ("AWS_SECRET_ACCESS_KEY=" in environ) == (kind == "spark"), name
        if leak.search(environ):
            assert kind == "spark", name
            found = True
        seen.add(name)
    assert seen >= {"serve", "s3", "shim", "kernel", "java", "worker"}
    assert found  # so that what is looked for is what there is


def test_a_sessions_key_is_for_that_session_and_s3(shared_server: Server, athena: Athena, session: str) -> None:
    code = "import os\nprint(os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_SECRET_ACCESS_KEY'])"
    ran = athena.submit(session, code)
    key_id, secret = athena.result(ran).stdout.decode().split()
    assert shared_server.client("s3", (key_id, secret)).list_buckets()["Buckets"]
    api = shared_server.client("athena", (key_id, secret))
    assert api.get_session_status(SessionId=session)["Status"]["State"] == "IDLE"
    assert ran in {
        c["CalculationExecutionId"] for c in api.list_calculation_executions(SessionId=session)["Calculations"]
    }
    stranger = athena.start()
    calls = [
        ("list_sessions", {"WorkGroup": "primary"}),
        ("list_work_groups", {}),
        ("delete_work_group", {"WorkGroup": "primary", "RecursiveDeleteOption": True}),
        ("start_session", {"WorkGroup": "primary", "EngineConfiguration": {"MaxConcurrentDpus": 2}}),
        ("get_session_status", {"SessionId": stranger}),
        ("terminate_session", {"SessionId": stranger}),
        ("start_calculation_execution", {"SessionId": stranger, "CodeBlock": "print(1)"}),
        ("get_calculation_execution", {"CalculationExecutionId": ran}),
    ]
    for call, kwargs in calls:
        with pytest.raises(ClientError) as refusal:
            getattr(api, call)(**kwargs)
        assert refusal.value.response["Error"]["Code"] == "AccessDeniedException", call
        assert "key of a session" in refusal.value.response["Error"]["Message"]
    assert athena.status(stranger)["State"] in ("CREATING", "IDLE")
    athena.api.terminate_session(SessionId=stranger)


def kind_of(argv: str) -> tuple[str, str]:
    words = argv.split("\0")
    if words[1] in ("serve", "s3", "shim"):
        return words[1], "ergane"
    if words[0].endswith("/java"):
        return "java", "spark"
    if "pyspark.daemon" in words:
        return "worker", "spark"
    assert "/kernel-" in words[-2], words
    return "kernel", "ergane"


def test_the_data_folder_is_its_owners_alone(shared_server: Server, session: str) -> None:
    open_to_others = []
    for folder, folders, files in os.walk(shared_server.data_dir):
        if os.stat(folder).st_mode & 0o077:
            open_to_others.append(folder)
        if Path(folder).name == "work":  # a session's: nobody else gets through it, whatever modes its code gives
            folders.clear()
            continue
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink() and path.stat().st_mode & 0o077:
                open_to_others.append(str(path))
    assert not open_to_others
    assert (shared_server.data_dir / "sessions" / session / "work").is_dir()
