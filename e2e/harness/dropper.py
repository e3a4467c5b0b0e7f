"""A network that loses answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class Dropper:
    """A proxy that hands requests on to a server, and drops the connection instead of giving the first answer."""

    def __init__(self, endpoint: str) -> None:
        at = urlsplit(endpoint)
        self._server = (at.hostname or "", at.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept)
        self._dropped = False
        self._client: socket.socket | None = None
        self.requests = 0
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Dropper:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for each in (self._listener, self._client):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        """One connection after the other, which is how botocore sends the attempts of one call."""
        while True:
            try:
                self._client, _ = self._listener.accept()
            except OSError:
                return
            with self._client as client, socket.create_connection(self._server) as server:
                while self._exchange(client, server):
                    pass

    def _exchange(self, client: socket.socket, server: socket.socket) -> bool:
        request = message(client)
        if not request:
            return False
        self.requests += 1
        server.sendall(request)
        answer = message(server)
        if not self._dropped:
            self._dropped = True
            return False
        client.sendall(answer)
        return True


def message(source: socket.socket, bodiless: bool = False) -> bytes:
    """One HTTP message with a Content-Length, unless it has no body; empty at the end of the connection."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = source.recv(65536)
        if not piece:
            return b""
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
    length = 0 if bodiless else sum(int(value) for name, _, value in lines if name == b"content-length")
    while len(body) < length:
        piece = source.recv(65536)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body
