"""Ergane's user with PyAthena: its SparkCursor, at the pause between polls that it has of its own."""

from __future__ import annotations

import pyathena
from agent import serve
from pyathena.spark.cursor import SparkCursor


class PyAthena:
    def __init__(self) -> None:
        self.connection = pyathena.connect(work_group="primary", cursor_class=SparkCursor)

    def open(self) -> None:
        self.cursor = self.connection.cursor()

    def run(self, code: str) -> bytes:
        return (self.cursor.execute(code).get_std_out() or "").encode()

    def noop(self) -> None:
        self.cursor.execute("pass")

    def cancel(self) -> None:
        self.cursor.cancel()

    def again(self) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        self.cursor.close()


serve(PyAthena())
