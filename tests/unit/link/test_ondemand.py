"""The connection of large files is open while it is used, and for a while after that."""

import asyncio

import pytest

from sidecar.link import ondemand
from sidecar.link.ondemand import OnDemand


class Connection:
    """A master that is open as long as it runs."""

    def __init__(self, takes: float = 0.0) -> None:
        self.opened = 0
        self.takes = takes
        self.up, self.closed = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        self.opened += 1
        self.closed.clear()
        try:
            await asyncio.sleep(self.takes)
            self.up.set()
            await asyncio.Event().wait()
        finally:
            self.up.clear()
            self.closed.set()

    async def wait_up(self) -> None:
        await self.up.wait()


async def test_it_is_open_while_it_is_used_and_for_a_while_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ondemand, "LINGER", 0.01)
    connection, busy = Connection(), [True]
    made = OnDemand(connection, lambda: busy[0])  # type: ignore[arg-type]  # a stand-in
    running = asyncio.create_task(made.run())
    await asyncio.sleep(0.05)
    assert 0 == connection.opened, "nobody wants it"
    for times in (1, 2):
        busy[0] = True
        await made.opened()
        await asyncio.sleep(0.1)
        assert (times, True) == (connection.opened, connection.up.is_set())
        busy[0] = False
        async with asyncio.timeout(30):
            await connection.closed.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_it_is_tried_for_as_long_as_somebody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ondemand, "LINGER", 0.01)
    connection = Connection(takes=0.1)
    made = OnDemand(connection, lambda: False)  # type: ignore[arg-type]
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(30):
        await made.opened()
        assert 1 == connection.opened
        await connection.closed.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_it_is_closed_when_the_link_ends() -> None:
    connection = Connection()
    made = OnDemand(connection, lambda: True)  # type: ignore[arg-type]
    running = asyncio.create_task(made.run())
    await made.opened()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert running.cancelled() and not connection.up.is_set()
