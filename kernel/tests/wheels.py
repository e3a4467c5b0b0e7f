"""Wheels made on the spot, and an index that hands them out: what pip needs of the world."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: tuple[str, ...] = ()) -> Path:
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {other}\n" for other in requires)
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**content, f"{info}/RECORD": record}.items():
            archive.writestr(member, text)
    return path


class Index:
    """A package index over the wheels of a folder. One of the files never comes to its end."""

    def __init__(self, folder: Path, endless: str = "") -> None:
        self.asked = threading.Event()  # for the file that is endless
        self.over = threading.Event()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, kind, name, *_ = [*self.path.split("/"), "", ""]
                if kind == "simple":
                    found = sorted(folder.glob(f"{name.replace('-', '_')}-*.whl"))
                    page = "".join(f'<a href="/files/{file.name}">{file.name}</a>' for file in found)
                    self.answer(200 if found else 404, page.encode(), "text/html")
                elif endless and name == endless:
                    self.send_response(200)
                    self.send_header("Content-Length", "1000000")
                    self.end_headers()
                    index.asked.set()
                    index.over.wait()
                else:
                    self.answer(200, (folder / name).read_bytes(), "application/zip")

            def answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def index(folder: Path, endless: str = "") -> Iterator[Index]:
    running = Index(folder, endless)
    try:
        yield running
    finally:
        running.close()
