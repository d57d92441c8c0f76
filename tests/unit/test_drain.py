"""The end of a daemon: the time that draining takes is bounded, whatever disk and peers do."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.engine import draining


class Stuck:
    """A disk that never answers."""

    async def reached(self) -> None:
        await asyncio.Event().wait()


class Quick:
    """A disk that is done."""

    async def reached(self) -> None:
        return


class Regions:
    """Links whose peers have stored how far they are when they were asked so often."""

    def __init__(self, *, flushed: bool, looks: int = 0) -> None:
        self._flushed, self._looks = flushed, looks
        self.said = 0

    def flushed(self, *, connected_only: bool = False) -> bool:
        return self._flushed

    def tell(self) -> None:
        self.said += 1

    @property
    def told(self) -> bool:
        self._looks -= self.said
        return self._looks < 0


def drained(links: Regions, *, busy: bool = False, drain: float = 0.1, disk: object = None) -> bool:
    node: Any = SimpleNamespace(
        options=SimpleNamespace(drain=drain), watching=SimpleNamespace(busy=busy), durability=disk or Quick()
    )
    asked: Any = links
    return asyncio.run(asyncio.wait_for(draining.drain(node, asked), 60))


@pytest.mark.parametrize(
    ("busy", "flushed", "all_sent"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_a_disk_that_never_answers_does_not_hold_up_the_end(busy: bool, flushed: bool, all_sent: bool) -> None:
    began = time.monotonic()
    assert all_sent is drained(Regions(flushed=flushed), busy=busy, disk=Stuck())
    assert time.monotonic() - began < 20


def test_it_ends_when_the_peers_have_stored_how_far_they_are() -> None:
    links = Regions(flushed=True, looks=10)
    assert drained(links, drain=30)
    assert 1 == links.said
    assert links._looks < 0


def test_a_peer_that_never_says_so_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "LAST_WORD", 0.1)
    links = Regions(flushed=True, looks=1_000_000)
    assert drained(links, drain=3600)
    assert 1 == links.said
