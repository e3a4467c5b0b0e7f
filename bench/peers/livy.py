"""Apache Livy, of a built home that LIVY_HOME names: no package index has it."""

from __future__ import annotations

import os
from pathlib import Path

from peer import Peer, engine_packages, engine_python


class Livy(Peer):
    name = "livy"
    title = "Apache Livy"
    about = "REST, asked every 10 ms"
    client_script = "with_livy.py"

    def command(self) -> list[str]:
        conf = self.scratch / "conf"
        conf.mkdir(exist_ok=True)
        (conf / "livy.conf").write_text(
            f"livy.server.host = 127.0.0.1\nlivy.server.port = {self.port}\nlivy.spark.master = local[*]\n"
        )
        return [str(Path(os.environ["LIVY_HOME"]) / "bin" / "livy-server")]  # no word after it: in the foreground

    def client_args(self) -> list[str]:
        return [f"http://127.0.0.1:{self.port}"]

    def client_python(self) -> Path:
        return engine_python()

    def more_env(self) -> dict[str, str]:
        return {
            "LIVY_CONF_DIR": str(self.scratch / "conf"),
            "LIVY_LOG_DIR": str(self.scratch),
            "SPARK_HOME": str(engine_packages() / "pyspark"),
            "PYSPARK_PYTHON": str(engine_python()),
        }
