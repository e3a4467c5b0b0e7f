"""A server whose result store is another S3, which can be made sick."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from conftest import Athena, Server, common_folder, end, wait_for
from sick import SickS3

RESULTS = "s3://away/results"


class Away:
    def __init__(self, server: Server, s3: SickS3) -> None:
        self.server, self.s3, self.place = server, s3, common_folder()
        self.athena = Athena(server)
        self.session = self.athena.session()

    def submit(self, mark: str, code: str = "print('kept')") -> str:
        """Code that leaves a mark whenever it runs."""
        return self.athena.submit(
            self.session, f"with open({str(self.place / mark)!r}, 'a') as f:\n    f.write('x')\n{code}"
        )

    def ran(self, mark: str) -> int:
        return len((self.place / mark).read_text())

    def complaints(self) -> int:
        return self.server.log.read_text().count("cannot store an object; trying again")

    def await_complaint(self, before: int) -> None:
        wait_for("complaint of the server", 600, lambda: True if self.complaints() > before else None)


@contextlib.contextmanager
def away(backend: Server, place: Path) -> Iterator[Away]:
    healthy = backend.env
    backend.client("s3").create_bucket(Bucket="away")
    with SickS3(healthy["AWS_ENDPOINT_URL_S3"]) as s3:
        server = Server(place / "data")
        server.more_env = {
            "ERGANE_S3_ENDPOINT": s3.endpoint,
            "ERGANE_S3_ACCESS_KEY_ID": healthy["AWS_ACCESS_KEY_ID"],
            "ERGANE_S3_SECRET_ACCESS_KEY": healthy["AWS_SECRET_ACCESS_KEY"],
        }
        server.start("--results", RESULTS)
        try:
            yield Away(server, s3)
        finally:
            end(server)
