"""Plain PySpark: no server; a session is a Python process with a JVM."""

from __future__ import annotations

from pathlib import Path

from peer import Peer, engine_python


class Plain(Peer):
    name = "pyspark"
    title = "plain PySpark"
    about = "interactive Python of the engine, over pipes"
    client_script = "with_repl.py"

    def start(self) -> None:
        """It has no server."""

    def stop(self) -> None:
        """It has no server."""

    def client_python(self) -> Path:
        return engine_python()

    def client_args(self) -> list[str]:
        return [str(engine_python())]
