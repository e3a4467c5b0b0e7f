"""A server whose results go to another S3, which can be made faulty."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from harness.athena import Athena
from harness.faulty_s3 import FaultyS3
from harness.places import common_folder
from harness.running import end
from harness.server import Server
from harness.waiting import wait_for

RESULTS = "s3://away/results"


class FaultyResults:
    """The server, its other S3, and a session."""

    def __init__(self, server: Server, s3: FaultyS3) -> None:
        self.server, self.s3, self.place = server, s3, common_folder()
        self.athena = Athena(server)
        self.session = self.athena.session()

    def submit(self, mark: str, code: str = "print('kept')") -> str:
        """Code that leaves a mark whenever it runs."""
        return self.athena.submit(
            self.session, f"with open({str(self.place / mark)!r}, 'a') as f:\n    f.write('x')\n{code}"
        )

    def ran(self, mark: str) -> int:
        """How often the code with this mark has run."""
        return len((self.place / mark).read_text())

    def complaints(self) -> int:
        return self.server.log.read_text().count("cannot store an object; trying again")

    def await_complaint(self, before: int) -> None:
        wait_for("complaint of the server", lambda: self.complaints() > before)


@contextlib.contextmanager
def faulty_results(backend: Server, place: Path) -> Iterator[FaultyResults]:
    """A server with its data dir in place, which stores results in backend's S3, through a FaultyS3."""
    healthy = backend.env
    backend.client("s3").create_bucket(Bucket="away")
    with FaultyS3(healthy["AWS_ENDPOINT_URL_S3"]) as s3:
        server = Server(place / "data")
        server.more_env = {
            "ERGANE_S3_ENDPOINT": s3.endpoint,
            "ERGANE_S3_ACCESS_KEY_ID": healthy["AWS_ACCESS_KEY_ID"],
            "ERGANE_S3_SECRET_ACCESS_KEY": healthy["AWS_SECRET_ACCESS_KEY"],
        }
        server.start("--results", RESULTS)
        try:
            yield FaultyResults(server, s3)
        finally:
            end(server)
