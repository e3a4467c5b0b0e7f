"""The scenario with awswrangler (AWS SDK for pandas), as far as its two Spark functions go."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import awswrangler as wr
from scenario import CODE, EXPECT, UNKNOWN_SESSION, WORK_GROUP, check, ok, version


def main() -> None:
    version(f"awswrangler {wr.__version__}")
    properties = {"spark.sql.shuffle.partitions": "3"}
    sid = wr.athena.create_spark_session(
        workgroup=WORK_GROUP, max_concurrent_dpus=2, spark_properties=properties, idle_timeout=5
    )
    ok("session")
    got = run("print(spark.conf.get('spark.sql.shuffle.partitions'))", sid)
    check(read(got["Result"]["StdOutS3Uri"]), "3\n")
    ok("spark_properties")

    got = run(CODE["stdout"], sid)
    check(got["Status"]["State"], "COMPLETED")
    check(read(got["Result"]["StdOutS3Uri"]), EXPECT["stdout"])
    ok("stdout")
    check(read(run(CODE["shared"], sid)["Result"]["StdOutS3Uri"]), EXPECT["shared"])
    ok("shared")

    # The exception's text is StateChangeReason; the id of what failed is not told, so its stderr is looked for.
    error = raised(wr.exceptions.CalculationFailed, lambda: run(CODE["failure"], sid))
    check(str(error), EXPECT["failure"].splitlines()[-1])
    files = wr.s3.list_objects(got["WorkingDirectory"].rpartition("/")[0] + "/", suffix="/stderr")
    check([text for f in files if (text := read(f).strip())], [EXPECT["failure"]])
    ok("failure")

    error = raised(Exception, lambda: run(CODE["shared"], UNKNOWN_SESSION))
    check(type(error).__name__, "InvalidRequestException")
    ok("unknown")

    implicit = run(CODE["stdout"], None)
    assert implicit["SessionId"] != sid
    check(read(implicit["Result"]["StdOutS3Uri"]), EXPECT["stdout"])
    ok("implicit_session")

    # What the block wrote to S3 is a data frame for the client.
    place = f"{got['WorkingDirectory']}/squares"
    run(f"squares.write.parquet({place!r})", sid)
    check(sorted(wr.s3.read_parquet(place + "/").square.tolist()), [0, 1, 4, 9, 16])
    ok("parquet")


def run(code: str, sid: str | None) -> dict:
    return wr.athena.run_spark_calculation(code=code, workgroup=WORK_GROUP, session_id=sid, max_concurrent_dpus=2)


def read(uri: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / "object"
        wr.s3.download(path=uri, local_file=str(local))
        return local.read_text()


def raised(kind: type[Exception], call: Callable[[], object]) -> Exception:
    try:
        got = call()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__} but {got!r}")


main()
