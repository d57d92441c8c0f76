"""An index in a directory of its own, closed after the test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.index.store import Index

Opener = Callable[[], Index]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Opener]:
    """Opens the index at `path`; what it drew are the numbers from 1001 on."""
    numbers = itertools.count(1001)
    indexes: list[Index] = []

    def opener() -> Index:
        indexes.append(Index.open(path, lambda: next(numbers)))
        return indexes[-1]

    yield opener
    for index in indexes:
        index.close()


@pytest.fixture
def index(opened: Opener) -> Index:
    return opened()
