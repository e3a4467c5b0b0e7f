"""Jupyter Server, and Jupyter Enterprise Gateway with kernels on its own machine."""

from __future__ import annotations

import urllib.request

from peer import Peer, engine_python

TOKEN = "of-the-benchmark"
# It cuts off what statements print at a megabyte a second; its own warning says that this can be lifted.
UNLIMITED = "--ZMQChannelsWebsocketConnection.limit_rate=False"


class Jupyter(Peer):
    name = pins = "jupyter"
    title = "Jupyter Server"
    about = "ipykernel; REST and websocket, pushed; its limit on output lifted"
    client_script = "with_websocket.py"
    limits: tuple[str, ...] = (UNLIMITED,)

    def command(self) -> list[str]:
        server = [str(self.home / "venv" / "bin" / "jupyter"), "server", "--no-browser", "--allow-root"]
        where = ["--ip=127.0.0.1", f"--port={self.port}", f"--IdentityProvider.token={TOKEN}"]
        return [*server, *where, "--ServerApp.port_retries=0", *self.limits]

    def is_ready(self) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api", headers={"Authorization": f"token {TOKEN}"}
        )
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except OSError:
            return False
        return True

    def client_args(self) -> list[str]:
        return [f"http://127.0.0.1:{self.port}", TOKEN]

    def more_env(self) -> dict[str, str]:
        venv = self.home / "venv" / "bin"
        return {"PATH": f"{venv}:/usr/local/bin:/usr/bin:/bin", "PYSPARK_PYTHON": str(engine_python())}


class Gateway(Jupyter):
    name = pins = "gateway"
    title = "Enterprise Gateway"
    about = "kernels on its own machine; REST and websocket, pushed"
    limits = ()  # it has none

    def command(self) -> list[str]:
        server = [str(self.home / "venv" / "bin" / "jupyter"), "enterprisegateway"]
        where = ["--ip=127.0.0.1", f"--port={self.port}", f"--EnterpriseGatewayApp.auth_token={TOKEN}"]
        return [*server, *where, "--EnterpriseGatewayApp.port_retries=0"]

    def client_args(self) -> list[str]:
        return [*super().client_args(), "analyst"]  # it starts no kernels for root
