"""What is marked comes out once, in the order of its last event; what was put off comes when it is due."""

import asyncio

import pytest

from sidecar.core.paths import RelPath
from sidecar.engine.dirty import Dirty

ONE, TWO = RelPath(b"one"), RelPath(b"two")


def test_each_path_is_taken_once_in_the_order_of_its_last_event() -> None:
    dirty = Dirty()
    dirty.mark(ONE, TWO)
    dirty.mark(ONE)
    assert [TWO, ONE] == dirty.take()
    assert [] == dirty.take()


def test_what_was_put_off_comes_when_it_is_due() -> None:
    dirty = Dirty()
    dirty.put_off(ONE, 3600)
    dirty.put_off(TWO, -1)
    dirty.wake_due()
    assert [TWO] == dirty.take()


def test_it_is_put_off_no_longer_than_was_said_before() -> None:
    dirty = Dirty()
    dirty.put_off(ONE, -1)
    dirty.put_off(ONE, 3600)
    dirty.wake_due()
    assert [ONE] == dirty.take()


def test_an_event_brings_back_what_was_put_off() -> None:
    dirty = Dirty()
    dirty.put_off(ONE, 3600)
    dirty.mark(ONE)
    dirty.put_off(ONE, 3600)
    assert ([ONE], {}) == (dirty.take(), dirty.later)


async def test_whoever_waits_is_woken_by_a_mark_and_waits_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.dirty.LOOK_AGAIN", 0.01)
    dirty = Dirty()
    dirty.mark(ONE)
    await dirty.woken()
    again = asyncio.ensure_future(dirty.woken())
    await asyncio.sleep(0.05)
    assert not again.done(), "nothing was put off: there is nothing to look for"
    dirty.mark(TWO)
    await asyncio.wait_for(again, 10)


async def test_whoever_waits_looks_now_and_then_whether_something_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.dirty.LOOK_AGAIN", 0.01)
    dirty = Dirty()
    dirty.is_written(ONE)
    while not dirty.paths:
        await asyncio.wait_for(dirty.woken(), 10)
        dirty.wake_due()
    assert [ONE] == dirty.take()
