"""The user of Spark Connect, and of Sail: PySpark's own client. The code runs here; only plans go to the server."""

from __future__ import annotations

import contextlib
import io
import sys

from agent import serve
from pyspark.sql import SparkSession


class Connect:
    def __init__(self, url: str) -> None:
        self.url = url

    def open(self) -> None:
        self.spark = SparkSession.builder.remote(self.url).create()
        self.noop()

    def run(self, code: str) -> bytes:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, {"spark": self.spark})
        return out.getvalue().encode()

    def noop(self) -> None:
        self.spark.conf.get("spark.sql.session.timeZone")

    def cancel(self) -> None:
        self.spark.interruptAll()

    def again(self) -> bytes:
        raise RuntimeError("no call asks for the result of an operation of a server that is gone")

    def close(self) -> None:
        self.spark.stop()


serve(Connect(sys.argv[1]))
