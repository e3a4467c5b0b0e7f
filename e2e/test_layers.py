"""Which layers of the sandbox a server has, and that it does not give one up without a word."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from harness import Athena, Server, end, wait_for
from harness.metrics import scrape
from test_commands import ergane


def readiness(server: Server) -> dict[str, Any]:
    """What /readyz says of the sandbox, once it says that sessions can start."""

    def look() -> dict[str, Any]:
        with urllib.request.urlopen(server.env["AWS_ENDPOINT_URL_ATHENA"] + "/readyz") as answer:
            return json.load(answer)["sandbox"]

    return wait_for("a ready server", look, despite=(urllib.error.HTTPError,))


def layer_metrics(server: Server) -> dict[str, str]:
    return dict(re.findall(r'^ergane_sandbox_layer\{layer="(\w+)"\} ([01])$', scrape(server), re.MULTILINE))


def doctors_words(server: Server, home: Path, *args: str) -> dict[str, dict[str, Any]]:
    done = ergane("doctor", "--json", "--data-dir", str(server.data_dir), *args, home=home)
    return {f["name"]: f for f in json.loads(done.stdout)}


def test_protection_that_is_lost_is_refused_until_less_is_accepted(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "only root has what this test takes from the server"
    server = Server(tmp_path / "data").start()
    assert readiness(server)["layers"]["mounts"] == "active"
    assert layer_metrics(server)["mounts"] == "1"
    assert server.stop() == 0
    server.under = ["setpriv", "--bounding-set", "-sys_admin"]  # which mounts take
    server.launch()
    assert server.process is not None
    assert server.process.wait(600) == 1
    said = server.log.read_text().splitlines()[-1]
    lost = r"do not work now: user \(.+\), mounts \(.+\); fix that"
    assert re.search(lost, said), said
    less = re.fullmatch(r".* accept less protection with --sandbox ([a-z,]+)", said)
    assert less, said
    server.start("--sandbox", less[1])
    told = readiness(server)
    assert (told["asked"], told["less_than_could_be"]) == (less[1], True)
    assert told["layers"]["mounts"] != "active"
    assert layer_metrics(server)["mounts"] == "0"
    warned = [line for line in server.log.read_text().splitlines() if "level=WARN" in line and "less protected" in line]
    assert "mounts" in warned[-1]
    words = doctors_words(server, tmp_path, "--sandbox", less[1])["server's sandbox"]
    assert not words["ok"]
    assert "mounts" in words["detail"]
    athena = Athena(server)
    assert athena.run(athena.session(), "print(1)").stdout == b"1\n"
    end(server)
    server.start("--sandbox", "auto")  # what was accepted is what is expected from then on
    end(server)


def test_a_layer_that_is_named_has_to_work(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "only root has what this test takes from the server"
    server = Server(tmp_path / "data")
    server.under = ["setpriv", "--bounding-set", "-sys_admin"]
    server.launch("--sandbox", "landlock,mounts")
    assert server.process is not None
    assert server.process.wait(600) == 1
    assert (
        "--sandbox landlock,mounts: these layers do not work here: mounts (" in server.log.read_text().splitlines()[-1]
    )
