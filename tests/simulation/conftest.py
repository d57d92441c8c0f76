"""Thousands of histories: what the engine would log of each is dropped."""

from collections.abc import Iterator

import pytest
import structlog

from tests.support import many


@pytest.fixture(autouse=True, scope="package")
def alone() -> Iterator[None]:
    """A file goes alone when rsync has failed at it once: five times in a row no history meets."""
    with pytest.MonkeyPatch.context() as sooner:
        sooner.setattr("sidecar.core.item.ALONE_AFTER", 1)
        yield


@pytest.fixture(autouse=True, scope="package")
def silence() -> Iterator[None]:
    """No line of the engine is kept."""
    many.silence()
    yield
    structlog.reset_defaults()
