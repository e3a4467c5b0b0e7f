"""Plain PySpark's user: a Python of the engine, interactive, spoken to over pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from agent import serve

START = "from pyspark.sql import SparkSession; spark = SparkSession.builder.getOrCreate(); sc = spark.sparkContext"
MARK = b"\0end\n"


class Repl:
    def open(self) -> None:
        self.process = subprocess.Popen(
            [sys.argv[1], "-i", "-q", "-u", "-c", START], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.run("pass")

    def run(self, code: str) -> bytes:
        self.say(f"exec(compile({code!r}, '<stdin>', 'exec'))")
        self.say("print('\\0end')")
        return self.output()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def output(self) -> bytes:
        assert self.process.stdout is not None
        got = bytearray()
        while not got.endswith(MARK):
            more = os.read(self.process.stdout.fileno(), 1 << 20)
            if not more:
                raise EOFError("the process is gone")
            got += more
        return bytes(got[: -len(MARK)])

    def noop(self) -> None:
        self.run("pass")

    def cancel(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def again(self) -> bytes:
        raise EOFError("the process is gone, and with it what it printed")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)

    def pid(self) -> dict[str, int]:
        return {"pid": self.process.pid}


serve(Repl())
