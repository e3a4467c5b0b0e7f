"""Tests with real Spark. They fail, rather than hide, where no engine is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness import Kernel
from harness import engine as engine_under_test


@pytest.fixture(scope="session")
def engine() -> dict[str, Any]:
    """`java` and `spark` of the boot document."""
    document = engine_under_test()
    return {"java": document["java"], "spark": document["spark"]}


@pytest.fixture(scope="session")
def spark_kernel(engine: dict[str, Any]) -> Iterator[Kernel]:
    """A kernel with Spark, for all tests that leave Spark as it was."""
    with Kernel(engine) as kernel:
        yield kernel


@pytest.fixture
def fresh(engine: dict[str, Any]) -> Iterator[Kernel]:
    """A kernel with Spark of the test's own."""
    with Kernel(engine) as kernel:
        yield kernel
