"""Thousands of histories: what the engine would log of each is dropped."""

from collections.abc import Iterator

import pytest
import structlog

from tests.support import many


@pytest.fixture(autouse=True, scope="package")
def silence() -> Iterator[None]:
    """No line of the engine is kept."""
    many.silence()
    yield
    structlog.reset_defaults()
