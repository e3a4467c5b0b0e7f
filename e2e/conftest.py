"""What tests ask for: servers, clients and sessions. How they work is in the package harness."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Athena, Server, common_folder, running
from harness.wire import Wire


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as they found it."""
    with running(tmp_path_factory.mktemp("ergane")) as server:
        yield server


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for one file of tests, started with the file's SERVER_ARGS if it has them."""
    name = request.module.__name__.removeprefix("test_")
    with running(tmp_path_factory.mktemp(name), *getattr(request.module, "SERVER_ARGS", ())) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may kill."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def no_errors(shared_server: Server) -> Iterator[None]:
    """The shared server calls nothing an error during the test."""
    with shared_server.no_errors():
        yield


@pytest.fixture
def common() -> Path:
    """A folder in which a test and the code of its sessions find each other's files."""
    return common_folder()


@pytest.fixture(scope="session")
def athena(shared_server: Server) -> Athena:
    return Athena(shared_server)


@pytest.fixture(scope="session")
def wire(shared_server: Server) -> Wire:
    """Requests made by hand, with the server's key."""
    env = shared_server.env
    return Wire(env["AWS_ENDPOINT_URL_ATHENA"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])


@pytest.fixture(scope="session")
def session(athena: Athena) -> str:
    """One session for all calculations that leave it as they found it."""
    return athena.session()
