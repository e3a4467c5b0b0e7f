from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Kernel


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A kernel of the test's own, without Spark."""
    with Kernel() as kernel:
        yield kernel


@pytest.fixture(scope="module")
def shared() -> Iterator[Kernel]:
    """A kernel without Spark for tests that leave it as it was."""
    with Kernel() as kernel:
        yield kernel
