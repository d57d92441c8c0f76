"""The line of `make bench-wan`: what it does to bytes, and when they may arrive."""

import asyncio

import pytest

from bench import relay
from bench.relay import CHUNK, Line, carry, connected


def test_bytes_leave_at_the_lines_rate_one_after_the_other() -> None:
    line = Line(delay=0.025, rate=1000.0)
    assert [pytest.approx(one) for one in (10.5, 11.0, 20.1)] == [
        line.leaves(500, 10.0),
        line.leaves(500, 10.0),
        line.leaves(100, 20.0),
    ]


def test_a_line_that_was_idle_owes_nothing() -> None:
    line = Line(delay=0.0, rate=1000.0)
    line.leaves(1000, 0.0)
    assert pytest.approx(100.001) == line.leaves(1, 100.0)


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_everything_arrives_in_order_both_ways_and_the_end_too() -> None:
    sent = bytes(range(256)) * 2000
    lines = Line(0.005, 1e9), Line(0.005, 1e9)
    far = await asyncio.start_server(echoing, "127.0.0.1", 0)
    port = far.sockets[0].getsockname()[1]
    near = await asyncio.start_server(lambda r, w: connected(*lines, "127.0.0.1", port, r, w), "127.0.0.1", 0)
    async with far, near:
        reader, writer = await asyncio.open_connection("127.0.0.1", near.sockets[0].getsockname()[1])
        before = asyncio.get_running_loop().time()
        writer.write(sent)
        writer.write_eof()
        assert sent == await asyncio.wait_for(reader.read(-1), 30)
        assert asyncio.get_running_loop().time() - before >= 0.010
        writer.close()


async def test_a_connection_to_nobody_is_closed() -> None:
    line = Line(0.0, 1e9)
    near = await asyncio.start_server(lambda r, w: connected(line, line, "127.0.0.1", 1, r, w), "127.0.0.1", 0)
    async with near:
        reader, writer = await asyncio.open_connection("127.0.0.1", near.sockets[0].getsockname()[1])
        assert b"" == await asyncio.wait_for(reader.read(-1), 30)
        writer.close()


class Stalled:
    """An end that takes nothing."""

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        await asyncio.Event().wait()

    def write_eof(self) -> None:
        pass


async def test_what_a_stalled_end_does_not_take_stays_with_its_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "UNDER_WAY", 2)
    reader = asyncio.StreamReader(limit=1 << 30)
    reader.feed_data(bytes(20 * CHUNK))
    carrying = asyncio.create_task(carry(Line(0.0, 1e12), reader, Stalled(), 0.0))  # type: ignore[arg-type]
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(reader._buffer) >= 16 * CHUNK  # type: ignore[attr-defined]
    carrying.cancel()
