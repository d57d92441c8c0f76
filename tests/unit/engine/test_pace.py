"""Work that goes on for long leaves the loop to others in between."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.core import observe
from sidecar.core.paths import RelPath
from sidecar.engine import scan
from sidecar.engine.pace import SLICE, Pace
from tests.unit.engine.conftest import Starter

FILES = 1000


class Clock:
    """Time that passes when it is told to; sleep(0) takes none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        monkeypatch.setattr("sidecar.engine.pace.time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr("sidecar.engine.pace.asyncio", SimpleNamespace(sleep=self._sleep))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize("rests", [True, False])
def test_others_have_their_turn_after_a_slice_and_as_long_as_it_took(
    monkeypatch: pytest.MonkeyPatch, rests: bool
) -> None:
    clock = Clock(monkeypatch)
    work = Pace(rests=rests)

    async def steps(*seconds: float) -> None:
        for one in seconds:
            clock.now += one
            await work.step()

    asyncio.run(steps(SLICE / 4, SLICE / 4))
    assert not clock.slept
    asyncio.run(steps(SLICE, 3 * SLICE, SLICE / 2))
    assert pytest.approx([1.5 * SLICE, 3 * SLICE] if rests else [0, 0]) == clock.slept
    assert pytest.approx(4.5 * SLICE) == work.worked


def test_a_large_directory_is_compared_in_slices(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start()
    names = [RelPath(str(number).encode()) for number in range(FILES)]
    for name in names:
        (Path(node.root.path) / os.fsdecode(name)).write_text("x")
    node.intake.absorb(names)
    compared = most = 0
    compare = observe.compare

    def counted(*of: Any) -> observe.Change:
        nonlocal compared
        compared += 1
        return compare(*of)

    async def watched() -> None:
        nonlocal most
        work, before = asyncio.ensure_future(node.scans.scanner.scan(rests=False)), compared
        while not work.done():
            await asyncio.sleep(0)
            most, before = max(most, compared - before), compared
        assert FILES == (await work).files

    monkeypatch.setattr("sidecar.engine.pace.SLICE", 0.0)
    monkeypatch.setattr("sidecar.core.observe.compare", counted)
    asyncio.run(asyncio.wait_for(watched(), 60))
    assert FILES == compared and most <= scan.ROWS


def test_the_first_scan_is_as_fast_as_can_be_and_the_others_rest(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, told, twice = start(), list[bool](), asyncio.Event()
    scanned = node.scans.scanner.scan

    async def noted(*, rests: bool) -> scan.Result:
        told.append(rests)
        if len(told) == 2:
            twice.set()
        return await scanned(rests=rests)

    monkeypatch.setattr(node.scans.scanner, "scan", noted)

    async def scans() -> None:
        loops = [asyncio.ensure_future(node.watching.run())]
        await asyncio.wait_for(node.scans.first(), 60)
        loops.append(asyncio.ensure_future(node.scans.run()))
        node.scans.soon()
        await asyncio.wait_for(twice.wait(), 60)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    asyncio.run(scans())
    assert [False, True] == told
