"""Spark Connect's server, and Sail, which speaks its protocol without a JVM."""

from __future__ import annotations

from peer import Peer


class Connect(Peer):
    name = pins = "connect"
    title = "Spark Connect"
    about = "one server process for all sessions; the client runs the Python"
    runs_code = False
    client_script = "with_connect.py"

    def command(self) -> list[str]:
        # What sbin/start-connect-server.sh submits, in the foreground.
        submit = [str(self.home / "venv" / "bin" / "spark-submit"), "--class"]
        server = ["org.apache.spark.sql.connect.service.SparkConnectServer", "--name", "Spark Connect server"]
        where = [f"spark.connect.grpc.binding.port={self.port}", "spark.connect.grpc.binding.address=127.0.0.1"]
        return [*submit, *server, "--conf", where[0], "--conf", where[1], "spark-internal"]

    def client_args(self) -> list[str]:
        return [f"sc://127.0.0.1:{self.port}"]

    def more_env(self) -> dict[str, str]:
        python = str(self.client_python())
        return {"PYSPARK_PYTHON": python, "PATH": f"{self.home / 'venv' / 'bin'}:/usr/local/bin:/usr/bin:/bin"}


class Sail(Connect):
    name = pins = "sail"
    title = "Sail"
    about = "no JVM; one server process for all sessions; the client runs the Python"

    def command(self) -> list[str]:
        return [
            *(str(self.home / "venv" / "bin" / "sail"), "spark", "server"),
            *("--ip", "127.0.0.1", "--port", str(self.port)),
        ]
