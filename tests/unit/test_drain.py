"""The end of a daemon: the time that draining takes is bounded, whatever the disk does."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar import daemon


class Stuck:
    """A disk that never answers."""

    async def reached(self) -> None:
        await asyncio.Event().wait()


def ending(*, busy: bool, flushed: bool) -> Any:
    node = SimpleNamespace(options=SimpleNamespace(drain=0.1), watching=SimpleNamespace(busy=busy), durability=Stuck())
    return node, SimpleNamespace(flushed=lambda connected_only=False: flushed)


@pytest.mark.parametrize(
    ("busy", "flushed", "all_sent"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_disk_that_never_answers_does_not_hold_up_the_end(busy: bool, flushed: bool, all_sent: bool) -> None:
    node, links = ending(busy=busy, flushed=flushed)
    began = time.monotonic()
    assert all_sent is asyncio.run(asyncio.wait_for(daemon._drain(node, links), 30))
    assert time.monotonic() - began < 20
