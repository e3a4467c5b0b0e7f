"""The kernel's socket: one server at a time gives orders, in lines of JSON; a newer one takes over from an older."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from json import dumps, loads
from os import O_DIRECTORY, O_RDONLY, chmod, close, open, unlink  # noqa: A004
from selectors import EVENT_READ, PollSelector
from socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM, socket
from threading import Lock
from time import monotonic, sleep
from typing import Any, NoReturn

from . import PROTOCOL

SOCKET = "kernel.sock"
MAX_FRAME = 64 << 10
MAX_STRANGERS = 16
HELLO_SECONDS = 10.0
SEND_SECONDS = 5.0

Message = dict[str, Any]
Reply = Callable[[Message], None]
Handler = Callable[[Message, Reply], None]


class Connection:
    """One peer. Any thread may send; only the control thread reads."""

    def __init__(self, peer: socket) -> None:
        peer.settimeout(SEND_SECONDS)
        self.peer = peer
        self.welcome = False
        self.deadline = monotonic() + HELLO_SECONDS
        self._buffer = b""
        self._lock = Lock()

    def send(self, message: Message) -> None:
        data = (dumps(message) + "\n").encode()
        try:
            with self._lock:
                self.peer.sendall(data)
        except OSError:
            self.hang_up()  # the peer is gone, or does not read: the files have everything that it needs to know

    def read(self) -> list[bytes] | None:
        """The complete frames that were received; None at the end, or if a frame is too long."""
        try:
            data = self.peer.recv(MAX_FRAME)
        except OSError:
            return None
        if not data:
            return None
        *frames, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) >= MAX_FRAME or any(len(frame) >= MAX_FRAME for frame in frames):
            return None
        return frames

    def hang_up(self) -> None:
        try:
            self.peer.shutdown(SHUT_RDWR)
        except OSError:
            pass  # already

    def close(self) -> None:
        self.hang_up()
        with self._lock:  # not while another thread sends: the descriptor's number may be reused at once
            self.peer.close()


class Control:
    """Handlers run on the control thread: they answer at once, or hand the reply to another thread."""

    def __init__(self, directory: str, token: str, hello: Callable[[], Message], handlers: dict[str, Handler]) -> None:
        self._directory = directory
        self._token = token.encode()
        self._hello = hello
        self._handlers = handlers
        self._epoch = -1
        self._server: Connection | None = None  # the accepted one; written by the control thread
        self._connections: list[Connection] = []
        self._watched: dict[int, Callable[[], None]] = {}
        self._listener: socket | None = None
        self._selector = PollSelector()
        self._listen()

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Calls callback once, on the control thread, when fd becomes readable. Before serve."""
        self._watched[fd] = callback
        self._selector.register(fd, EVENT_READ)

    def send(self, message: Message) -> None:
        """Tells the server, if there is one. From any thread."""
        server = self._server
        if server is not None:
            server.send(message)

    def serve(self) -> NoReturn:
        while True:
            try:
                self._turn()
            except OSError:
                # User code closed our descriptors (closerange): begin again.
                sleep(0.1)
                self._abandon_all()
                self._listen()

    def abandon(self) -> None:
        """In a forked child: closes the sockets, which would otherwise stay open after the kernel's death."""
        for connection in self._connections:
            close(connection.peer.fileno())
        if self._listener is not None:
            close(self._listener.fileno())

    def _listen(self) -> None:
        folder = open(self._directory, O_RDONLY | O_DIRECTORY)
        path = f"/proc/self/fd/{folder}/{SOCKET}"  # the folder's own path may be too long for a socket's
        try:
            try:
                unlink(path)
            except FileNotFoundError:
                pass
            self._listener = socket(AF_UNIX, SOCK_STREAM)
            self._listener.bind(path)
            chmod(path, 0o600)
            self._listener.listen(MAX_STRANGERS)
        finally:
            close(folder)
        self._selector.register(self._listener, EVENT_READ)

    def _turn(self) -> None:
        strangers = [connection for connection in self._connections if not connection.welcome]
        ready = self._selector.select(1.0 if strangers else None)
        for key, _ in ready:
            if key.fileobj is self._listener:
                self._accept(len(strangers))
            elif isinstance(key.data, Connection):
                if key.data in self._connections:  # a hello in the same round may have closed it
                    self._read(key.data)
            else:
                self._selector.unregister(key.fileobj)
                self._watched.pop(key.fd)()
        for connection in strangers:
            if not connection.welcome and monotonic() > connection.deadline:
                self._drop(connection)

    def _accept(self, strangers: int) -> None:
        assert self._listener is not None
        peer, _ = self._listener.accept()
        if strangers >= MAX_STRANGERS:
            peer.close()
            return
        connection = Connection(peer)
        self._connections.append(connection)
        self._selector.register(peer, EVENT_READ, connection)

    def _read(self, connection: Connection) -> None:
        frames = connection.read()
        if frames is None:
            self._drop(connection)
            return
        for frame in frames:
            if connection in self._connections:
                self._take(connection, frame)

    def _take(self, connection: Connection, frame: bytes) -> None:
        try:
            message = loads(frame.decode())
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._drop(connection)
            return
        number = message.get("n")

        def reply(answer: Message) -> None:
            connection.send({"re": number, **answer})

        if not connection.welcome:
            self._greet(connection, message, reply)
            return
        handler = self._handlers.get(str(message.get("op")))
        if handler is None:
            reply({"err": "unknown op"})
        else:
            handler(message, reply)

    def _greet(self, connection: Connection, message: Message, reply: Reply) -> None:
        token = str(message.get("token", "")).encode("utf-8", "replace")
        if message.get("op") != "hello" or not compare_digest(token, self._token):
            self._drop(connection)
            return
        epoch = message.get("epoch")
        if message.get("v") != PROTOCOL:
            reply({"err": "version"})
            self._drop(connection)
        elif type(epoch) is not int or epoch <= self._epoch:
            reply({"err": "epoch"})
            self._drop(connection)
        else:
            # The older server's connection is closed first: its orders that we have not read must not be carried out.
            if self._server is not None:
                self._drop(self._server)
            self._epoch = epoch
            connection.welcome = True
            self._server = connection
            reply({"v": PROTOCOL, **self._hello()})

    def _drop(self, connection: Connection) -> None:
        if self._server is connection:
            self._server = None
        self._connections.remove(connection)
        self._selector.unregister(connection.peer)
        connection.close()

    def _abandon_all(self) -> None:
        """Forgets every descriptor without closing it: the numbers may have been reused."""
        self._server = None
        for connection in self._connections:
            connection.peer.detach()
        self._connections.clear()
        if self._listener is not None:
            self._listener.detach()
        self._selector = PollSelector()
        for fd in self._watched:
            self._selector.register(fd, EVENT_READ)
