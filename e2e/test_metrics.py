"""What a server says of itself: /metrics, and its log."""

from __future__ import annotations

import math
import re
import urllib.request
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness import Athena, Server, wait_for
from harness.processes import kill
from harness.sessions import kernel_pid

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
COUNT_LIMIT = 60
STEPS = ["receive", "commit", "hand_over", "begin", "run", "record", "deliver", "settle", "whole"]


@pytest.fixture(scope="module")
def athena(server: Server) -> Athena:
    return Athena(server)


def text_of(server: Server) -> str:
    """A scrape as Prometheus makes it: without a signature."""
    with urllib.request.urlopen(server.env["AWS_ENDPOINT_URL_ATHENA"] + "/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers
        return answer.read().decode()


def parse(text: str) -> dict[str, float]:
    """Every sample by its name and labels; what is not in the format fails."""
    kinds: dict[str, str] = {}
    helped: set[str] = set()
    samples: dict[str, float] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if said := re.fullmatch(rf"# HELP ({NAME}) \S.*", line):
            assert said[1] not in helped, line
            helped.add(said[1])
        elif said := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram|summary)", line):
            assert said[1] in helped, line
            assert said[1] not in kinds, line
            kinds[said[1]] = said[2]
        else:
            said = SAMPLE.fullmatch(line)
            assert said, line
            family = said[1] if said[1] in kinds else re.sub("_(bucket|sum|count)$", "", said[1])
            assert family in kinds, line
            assert (family == said[1]) == (kinds[family] in ("counter", "gauge") or "quantile" in (said[2] or "")), line
            assert kinds[family] != "counter" or said[1].endswith("_total"), line
            key = f"{said[1]}{{{said[2] or ''}}}"
            assert key not in samples, line
            samples[key] = float(said[3])
    check_histograms(samples)
    return samples


def check_histograms(samples: dict[str, float]) -> None:
    """Buckets grow with their bounds, up to the count."""
    last: dict[str, tuple[float, float]] = {}
    for key, value in samples.items():
        if said := re.fullmatch(r'(\w+)_bucket\{(.*?),?le="(\S+)"\}', key):
            series, bound = f"{said[1]}_count{{{said[2]}}}", float(said[3])
            before = last.get(series, (-math.inf, 0.0))
            assert bound > before[0], key
            assert value >= before[1], key
            last[series] = (bound, value)
    for series, (bound, value) in last.items():
        assert (bound, value) == (math.inf, samples[series]), series
    assert last


def await_sample(server: Server, key: str, value: float) -> dict[str, float]:
    """The first scrape with the value; a thing is counted just after it can be seen."""

    def look() -> dict[str, float] | None:
        samples = parse(text_of(server))
        return samples if samples.get(key, 0) >= value else None

    return wait_for(f"{key} of {value}", look, COUNT_LIMIT)


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """How much each counter of ours has grown."""
    return {
        key: value - before.get(key, 0)
        for key, value in after.items()
        if re.match(r"ergane_\w+_(total|count)\{", key) and value != before.get(key, 0)
    }


def test_what_happens_is_counted(server: Server, athena: Athena, common: Path) -> None:
    fresh = parse(text_of(server))
    sid = athena.session(Description="a description of mine")
    before = await_sample(server, "ergane_session_start_seconds_count{}", 1)
    start = grown(fresh, before)
    assert start["ergane_session_start_seconds_count{}"] == 1
    assert start['ergane_kernels_total{how="started"}'] == 1
    assert before['ergane_sessions{state="IDLE"}'] == 1
    assert before['ergane_sessions{state="CREATING"}'] == 0

    gate = common / "gate"
    done = athena.submit(sid, f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)")
    running = parse(text_of(server))
    assert running['ergane_sessions{state="BUSY"}'] == 1
    assert running['ergane_calculations{state="CREATING"}'] + running['ergane_calculations{state="RUNNING"}'] == 1
    gate.touch()
    assert athena.await_calculation(done)["Status"]["State"] == "COMPLETED"
    failed = athena.run(sid, "raise ValueError('words of mine')")
    assert failed.state == "FAILED"
    with pytest.raises(ClientError):
        athena.submit("no-such-session", "1")
    call = 'ergane_api_request_seconds_count{operation="StartCalculationExecution",outcome="%s"}'
    await_sample(server, call % "refused", 1)
    after = await_sample(server, 'ergane_calculations_ended_total{state="FAILED"}', 1)
    diff = grown(before, after)
    for step in STEPS:
        assert diff.pop(f'ergane_calculation_step_seconds_count{{step="{step}"}}') == 2, step
    took = {step: after[f'ergane_calculation_step_seconds_sum{{step="{step}"}}'] for step in STEPS}
    assert 0 < took["run"] < took["whole"]
    assert diff.pop('ergane_calculations_ended_total{state="COMPLETED"}') == 1
    assert diff.pop('ergane_calculations_ended_total{state="FAILED"}') == 1
    assert diff.pop('ergane_result_puts_total{outcome="stored"}') == 6
    assert (diff.pop(call % "ok"), diff.pop(call % "refused")) == (2, 1)
    assert diff.pop('ergane_api_request_seconds_count{operation="GetCalculationExecution",outcome="ok"}') >= 2
    for key in [k for k in diff if k.startswith("ergane_result_puts_total{")]:
        diff.pop(key)  # what failed and was tried again
    diff.pop('ergane_holds_total{outcome="held"}', None)  # how often depends on how fast the machine is
    assert diff == {}
    assert after["ergane_pending_deliveries{}"] == 0
    assert after["ergane_held_requests{}"] == 0
    assert after["go_goroutines{}"] > 1
    assert after["process_open_fds{}"] > 1
    assert after["process_resident_memory_bytes{}"] > 1 << 20

    kill(kernel_pid(server, sid))
    assert athena.await_session(sid, leave="IDLE")["State"] == "FAILED"
    died = grown(after, await_sample(server, 'ergane_sessions_ended_total{state="FAILED"}', 1))
    assert died['ergane_kernel_deaths_total{cause="signal"}'] == 1

    text = text_of(server)
    env = server.env
    for never in [
        *(sid, done, failed.raw["CalculationExecutionId"], "primary", "a description", "words of mine"),
        *(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], str(server.data_dir)),
    ]:
        assert never not in text, never


def test_adopted_sessions_are_counted_by_the_next_server(server: Server, athena: Athena) -> None:
    athena.session()
    server.kill()
    server.start()
    again = Athena(server)
    sid = again.session()
    now = await_sample(server, 'ergane_kernels_total{how="adopted"}', 1)
    assert now['ergane_kernels_total{how="adopted"}'] == 1
    assert now['ergane_kernels_total{how="started"}'] == 1
    assert now['ergane_sessions{state="IDLE"}'] == 2
    again.api.terminate_session(SessionId=sid)


def lines(log: Path) -> list[dict[str, str]]:
    """The log, each line as its keys and values."""
    pair = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
    return [dict(pair.findall(line)) for line in log.read_text().splitlines()]


def test_the_log_tells_everything_by_its_id_and_no_secret(server: Server, athena: Athena) -> None:
    begun = len(server.log.read_text().splitlines())
    started = athena.api.start_session(
        WorkGroup="primary",
        EngineConfiguration={"MaxConcurrentDpus": 2},
        ClientRequestToken=f"token-of-mine-{uuid.uuid4()}",
    )
    sid = started["SessionId"]
    assert athena.await_session(sid)["State"] == "IDLE"
    code = "import os; print(os.environ['AWS_SECRET_ACCESS_KEY'], 'output' + '-of-mine') # code-of-mine"
    submitted = athena.api.start_calculation_execution(SessionId=sid, CodeBlock=code)
    cid = submitted["CalculationExecutionId"]
    athena.await_calculation(cid)
    failed = athena.run(sid, "raise ValueError('value' + '-of-mine') # code-of-mine").raw["CalculationExecutionId"]
    athena.api.stop_calculation_execution(CalculationExecutionId=cid)
    athena.api.terminate_session(SessionId=sid)
    athena.await_session(sid, leave="TERMINATING IDLE")
    with pytest.raises(ClientError):
        athena.api.get_session_status(SessionId="x" * 36)

    log = lines(server.log)[begun:]
    about = [line for line in log if line.get("session") == sid or line.get("calculation") in (cid, failed)]
    told = {(line["msg"], line.get("operation")) for line in about}
    for line in log:
        names = " ".join(line.values())
        if sid in names or cid in names or failed in names:
            assert line in about, line  # by its own key, and not only in a text
        if line["msg"].startswith('"calculation '):
            assert line["session"] == sid, line
            assert line["calculation"] in (cid, failed), line
        if line["msg"] == "request":
            assert len(line["request_id"]) == 36, line
    made = {line["request_id"]: line for line in log if line["msg"] in ('"session created"', '"calculation created"')}
    assert made[started["ResponseMetadata"]["RequestId"]]["session"] == sid
    assert made[submitted["ResponseMetadata"]["RequestId"]]["calculation"] == cid
    for want in [
        *(('"session created"', None), ('"session moved"', None)),
        *(('"calculation created"', None), ('"calculation settled"', None)),
        *(("request", "StartCalculationExecution"), ("request", "GetSessionStatus"), ("request", "TerminateSession")),
        *(("request", "GetCalculationExecution"), ("request", "StopCalculationExecution")),
    ]:
        assert want in told, told

    text = server.log.read_text()
    secret, _, printed = athena.read(output_of(athena, cid)).decode().partition(" ")
    assert len(secret) > 20
    assert printed == "output-of-mine\n"
    for never in [
        *(secret, server.env["AWS_SECRET_ACCESS_KEY"], "Signature="),
        *("code-of-mine", "output-of-mine", "value-of-mine", "token-of-mine"),
    ]:
        assert never not in text, never


def test_by_default_the_log_tells_what_changes_and_no_requests(own_server: Server) -> None:
    own_server.stop()
    own_server.log.unlink()
    own_server.start("--log-level", "INFO")
    athena = Athena(own_server)
    athena.api.create_work_group(Name="told", Tags=[{"Key": "a", "Value": "b"}])
    athena.api.update_work_group(WorkGroup="told", Description="new")
    arn = "arn:aws:athena:us-east-1:000000000000:workgroup/told"
    athena.api.untag_resource(ResourceARN=arn, TagKeys=["a"])
    sid = athena.session(WorkGroup="told")
    athena.run(sid, "1")
    athena.api.delete_work_group(WorkGroup="told", RecursiveDeleteOption=True)
    told = [line["msg"].strip('"') for line in lines(own_server.log)]
    assert "request" not in told
    for want in ("workgroup created", "workgroup updated", "tags changed", "session created", "session moved"):
        assert want in told, told
    for want in ("calculation created", "calculation settled", "workgroup deleted"):
        assert want in told, told


def output_of(athena: Athena, cid: str) -> str:
    return athena.api.get_calculation_execution(CalculationExecutionId=cid)["Result"]["StdOutS3Uri"]
