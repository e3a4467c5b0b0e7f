"""The globals and magics of Athena's notebooks, sent as calculations by boto3."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import zipfile
from collections.abc import Iterator

import pytest

from harness import ERGANE, Athena, Result, Server, clean_env, wait_for

BUCKET = "e2e-magics"
LOG_LIMIT = 60


@pytest.fixture(scope="module")
def brought(athena: Athena) -> Iterator[Athena]:
    """Athena, with code in a bucket."""
    athena.s3.create_bucket(Bucket=BUCKET)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("e2e_packed/__init__.py", "")
        archive.writestr("e2e_packed/part.py", "def times(i): return i * 10\n")
    for key, body in {
        "a/e2e_brought.py": b"def plus(i): return i + 1\n",
        "b/e2e_brought.py": b"def plus(i): return i + 2\n",
        "e2e_packed.zip": packed.getvalue(),
        "data.txt": b"from s3",
    }.items():
        athena.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    return athena


def done(got: Result) -> Result:
    assert got.state == "COMPLETED", got.stderr.decode()
    assert got.stderr == b""
    return got


def data(got: Result) -> dict[str, str]:
    """The one rich output of a calculation."""
    (output,) = done(got).results
    return output["data"]


def driver_log(server: Server, sid: str) -> str:
    args = [ERGANE, "logs", "--data-dir", server.data_dir, sid]
    return subprocess.run(
        args, capture_output=True, text=True, check=True, env=clean_env(server.data_dir.parent)
    ).stdout


def await_log(server: Server, sid: str, part: str) -> list[str]:
    """The lines of the session's log that have part in them, once there is one."""

    def look() -> list[str] | None:
        return [line for line in driver_log(server, sid).splitlines() if part in line] or None

    return wait_for(f"{part!r} in the log", look, LOG_LIMIT)


def test_sql_prints_rows_and_gives_a_table(athena: Athena, session: str) -> None:
    got = done(
        athena.run(
            session, "\n-- none\n".replace("-- none", "# a remark") + "%%sql\nSELECT id,\n  '<' AS m\nFROM range(1)"
        )
    )
    assert got.stdout == b"+---+---+\n| id|  m|\n+---+---+\n|  0|  <|\n+---+---+\n\n"
    assert data(got)["text/plain"].startswith("+---+---+\n| id|  m|")
    assert "<td>&lt;</td>" in data(got)["text/html"]


def test_sql_fails_with_sparks_sentence(athena: Athena, session: str) -> None:
    got = athena.run(session, "\n%%sql\nSELECT * FROM nowhere")
    assert got.state == "FAILED"
    assert "[TABLE_OR_VIEW_NOT_FOUND] The table or view `nowhere`" in (got.reason or "")
    assert got.stderr.decode().lstrip().startswith('File "<stdin>", line 2, in <module>\n')


def test_the_session_knows_itself(athena: Athena, session: str) -> None:
    assert done(athena.run(session, "%session_id")).stdout.decode() == session + "\n"
    started = athena.api.get_session(SessionId=session)["Status"]["StartDateTime"]
    lines = dict(
        re.split(r": +", line, maxsplit=1) for line in done(athena.run(session, "%status")).stdout.decode().splitlines()
    )
    assert lines == {
        "Session ID": session,
        "State": "BUSY",
        "Workgroup": "primary",
        "Engine version": "PySpark engine version 3",
        "Start time": started.strftime("%Y-%m-%d %H:%M:%S UTC"),
    }


def test_sessions_are_listed(athena: Athena, session: str) -> None:
    rows = [
        line.strip("|").split("|") for line in done(athena.run(session, "%list_sessions")).stdout.decode().splitlines()
    ]
    assert [row[1].strip() for row in rows if row[0] == session] == ["BUSY"]


def test_loggers_write_to_the_log_that_the_cli_shows(athena: Athena, session: str, shared_server: Server) -> None:
    code = """
athena_user_logger.info("e2e user")
athena_shared_logger.error("e2e shared")
athena_user_logger.debug("e2e quiet")
def told(i):
    athena_user_logger.warning("e2e worker")
    return i
print(sc.parallelize([1]).map(told).collect())
"""
    assert done(athena.run(session, code)).stdout == b"[1]\n"
    head = r"AthenaForApacheSpark: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "
    for part, line in {
        "e2e user": "INFO builtins: e2e user",
        "e2e shared": "ERROR athena_shared_logger: e2e shared",
        "e2e worker": "WARNING builtins: e2e worker",
    }.items():
        assert re.fullmatch(head + line, await_log(shared_server, session, part)[0])
    assert "e2e quiet" not in driver_log(shared_server, session)


def test_the_log_level_is_set(athena: Athena, session: str, shared_server: Server) -> None:
    done(athena.run(session, "%set_log_level INFO\nspark.range(1).count()"))
    await_log(shared_server, session, " INFO DAGScheduler: ")
    got = done(
        athena.run(
            session, "%set_log_level WARN\nfor l in (athena_user_logger, athena_shared_logger): l.setLevel('INFO')"
        )
    )
    assert got.stdout == b"The log level is WARN.\n"
    assert "%set_log_level" in (athena.run(session, "%set_log_level quiet").reason or "")


def test_table_matplot_and_plotly_render(athena: Athena, session: str) -> None:
    table = data(athena.run(session, "%table spark.range(2)"))
    assert table["text/html"].count("<td>") == 2
    figure = data(athena.run(session, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\n%matplot plt"))
    assert base64.b64decode(figure["image/png"]).startswith(b"\x89PNG")
    assert athena.run(session, "%plotly 1").reason.startswith("UsageError: plotly is not installed")


def test_the_environment_is_shown_without_secrets(athena: Athena, session: str) -> None:
    got = done(athena.run(session, "e = %env\nprint(e['AWS_SECRET_ACCESS_KEY'], e['AWS_REGION'])\n%env E2E=1"))
    assert got.stdout == b"******** us-east-1\nenv: E2E=1\n"
    secret = done(athena.run(session, "import os\nprint(os.environ['AWS_SECRET_ACCESS_KEY'])")).stdout.strip()
    listing = str(athena.run(session, "%env").results).encode()
    assert b"AWS_SECRET_ACCESS_KEY" in listing
    assert secret not in listing


def test_help_and_the_list_of_magics(athena: Athena, session: str) -> None:
    for magic in ("%help", "%lsmagic"):
        text = done(athena.run(session, magic)).stdout.decode()
        for name in ("%%sql", "%status", "%list_sessions", "%table", "%matplot", "%plotly", "%set_log_level", "%env"):
            assert f"\n{name}" in "\n" + text


def test_magics_that_cannot_be_say_what_to_do(athena: Athena, session: str) -> None:
    got = athena.run(session, "print(1)\n%nonsense\nprint(2)")
    assert (got.state, got.stdout) == ("FAILED", b"1\n")
    assert got.reason == "UsageError: there is no magic %nonsense; %lsmagic lists those there are"
    assert got.stderr.decode().strip() == f'File "<stdin>", line 2, in <module>\n{got.reason}'
    assert "%pip installs packages" in (athena.run(session, "%conda install numpy").reason or "")


def test_code_from_s3_runs_in_the_driver_and_on_workers(brought: Athena, session: str) -> None:
    code = f"""
from pyspark import SparkFiles
from pyspark.sql.functions import udf
sc.addPyFile("s3://{BUCKET}/a/e2e_brought.py")
spark.sparkContext.addPyFile("s3a://{BUCKET}/e2e_packed.zip")
sc.addFile("s3://{BUCKET}/data.txt")
import e2e_brought
from e2e_packed.part import times
print(e2e_brought.plus(1), times(2), open(SparkFiles.get("data.txt")).read())
@udf("int")
def both(i):
    return e2e_brought.plus(times(i))
print([row[0] for row in spark.range(2).select(both("id")).collect()])
print(sc.parallelize([1]).map(lambda _: open(SparkFiles.get("data.txt")).read()).collect())
"""
    assert done(brought.run(session, code)).stdout == b"2 20 from s3\n[1, 11]\n['from s3']\n"

    again = brought.run(session, f'sc.addPyFile("s3://{BUCKET}/b/e2e_brought.py")')
    assert again.state == "FAILED"
    assert "exists and does not match contents of s3://" in again.stderr.decode()
    missing = brought.run(session, f'sc.addPyFile("s3://{BUCKET}/absent.py")')
    assert f"No such file or directory: s3://{BUCKET}/absent.py" in (missing.reason or "")
    assert done(brought.run(session, "print(sc.parallelize([1]).map(e2e_brought.plus).collect())")).stdout == b"[2]\n"


def test_rich_outputs_come_in_order(athena: Athena, session: str) -> None:
    code = """
from IPython.display import HTML, Markdown, JSON
import pandas as pd, matplotlib.pyplot as plt
display(HTML("<b>1</b>"), Markdown("*2*"))
display(JSON({"n": float("nan")}))
class Bad:
    def __repr__(self): return "bad"
    def _repr_html_(self): raise ValueError("no html")
plt.plot([1])
plt.show()
display(Bad())
pd.DataFrame({"a": [float("nan")]})
"""
    got = athena.run(session, code)
    assert got.state == "COMPLETED"
    assert "ValueError: no html" in got.stderr.decode()
    outputs = [output["data"] for output in got.results]
    assert outputs[0]["text/html"] == "<b>1</b>"
    assert outputs[1]["text/markdown"] == "*2*"
    assert outputs[2]["application/json"] == {"n": None}
    assert base64.b64decode(outputs[3]["image/png"]).startswith(b"\x89PNG")
    assert outputs[4] == {"text/plain": "bad"}
    assert "<td>NaN</td>" in outputs[5]["text/html"]
    assert "NaN" in outputs[5]["text/plain"]
    assert len(outputs) == 6
