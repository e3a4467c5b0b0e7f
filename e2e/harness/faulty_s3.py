"""An S3 that can be made faulty: a proxy in front of a healthy one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from urllib.parse import urlsplit

from harness.dropper import message

# Its faults. Those in S3's words are the answer to every request.
GONE = "gone"  # nobody listens
HANGS = "hangs"  # connections are taken, and nothing is read or answered
CUT = "cut"  # requests take effect, and half of the answer comes
SLOW = "slow"  # answers come a few bytes at a time


def answer(status: str, code: str, text: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status.encode(), len(body), body)


BUSY = answer("503 Service Unavailable", "SlowDown", "Please reduce your request rate.")
DENIED = answer("403 Forbidden", "AccessDenied", "Access Denied.")


class FaultyS3:
    """Hands requests on to the S3 at an endpoint, or does what its fault says instead."""

    def __init__(self, endpoint: str) -> None:
        at = urlsplit(endpoint)
        self._behind = (at.hostname or "", at.port or 80)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._fault: str | bytes = ""
        self._over = threading.Event()  # the fault
        self.taken = 0  # connections since the fault was set
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self.endpoint = f"http://127.0.0.1:{self._address[1]}"

    def __enter__(self) -> FaultyS3:
        self._listen()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._deafen()
        self._over.set()
        self._cut_off()
        for thread in self._threads:
            thread.join()

    @contextlib.contextmanager
    def having(self, fault: str | bytes) -> Iterator[None]:
        """All connections are cut; from then on every one gets the fault, until the end of the block."""
        self._change(fault)
        try:
            yield
        finally:
            self._change("")

    def _change(self, fault: str | bytes) -> None:
        if fault == GONE:
            self._deafen()
        with self._lock:
            was, self._fault, self.taken = self._fault, fault, 0
            self._over.set()
            self._over = threading.Event()
        self._cut_off()
        if was == GONE:
            self._listener = socket.create_server(self._address)
            self._listen()

    def _listen(self) -> None:
        self._threads.append(threading.Thread(target=self._accept, args=(self._listener,)))
        self._threads[-1].start()

    def _deafen(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _cut_off(self) -> None:
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(client)
                self.taken += 1
                fault, over = self._fault, self._over
            thread = threading.Thread(target=self._serve, args=(client, fault, over))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, fault: str | bytes, over: threading.Event) -> None:
        with client, contextlib.suppress(OSError):
            if fault == HANGS:
                over.wait()
            elif isinstance(fault, bytes):
                if message(client):
                    client.sendall(fault)
            else:
                self._hand_on(client, fault)
        with self._lock:
            self._open.discard(client)

    def _hand_on(self, client: socket.socket, fault: str) -> None:
        with socket.create_connection(self._behind) as behind:
            while request := message(client):  # one after the other, as S3 clients send them
                behind.sendall(request)
                got = message(behind, bodiless=request.startswith(b"HEAD "))
                if fault == CUT:
                    client.sendall(got[: len(got) // 2])
                    return
                step = 8 if fault == SLOW else len(got)
                for at in range(0, len(got), step):
                    client.sendall(got[at : at + step])
                    threading.Event().wait(0.01 if fault == SLOW else 0)
