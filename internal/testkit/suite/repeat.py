"""A plugin of pytest that runs each test many times, for `make again`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--repeat", type=int, default=1, help="run each test so often")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.fixturenames.append("repetition")
    metafunc.parametrize("repetition", range(metafunc.config.getoption("--repeat")))


@pytest.fixture
def repetition(request: pytest.FixtureRequest) -> int:
    """Which repetition of a test it is."""
    return request.param
