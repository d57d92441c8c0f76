"""The control channel between two nodes of which one may be older, and from a peer that writes what no node writes."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.errors import ProtocolViolation
from sidecar.link import channel as channels
from sidecar.link.channel import MAX_FRAME, WORTH_IT, Channel
from sidecar.link.deflate import Deflater

DEFLATED = 1 << 31
LONG = b"releases/1/page-" * 100


@contextlib.asynccontextmanager
async def between() -> AsyncIterator[tuple[Channel, Channel]]:
    """Both ends of a channel."""
    ends = [Channel(*await asyncio.open_unix_connection(sock=end)) for end in socket.socketpair()]
    try:
        yield ends[0], ends[1]
    finally:
        for end in ends:
            end.close()


@contextlib.asynccontextmanager
async def raw() -> AsyncIterator[tuple[Channel, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A channel, and its other side's bytes."""
    ours, theirs = socket.socketpair()
    channel = Channel(*await asyncio.open_unix_connection(sock=ours))
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    try:
        yield channel, reader, writer
    finally:
        channel.close()
        writer.close()


def second(frame: bytes) -> bytes:
    """A frame that was said before, deflated."""
    deflater = Deflater()
    deflater.deflate(frame)
    return deflater.deflate(frame)


def packed(frame: bytes, mark: int = 0) -> bytes:
    return (len(frame) | mark).to_bytes(4, "big") + frame


async def test_to_a_node_that_did_not_say_it_inflates_frames_go_as_they_are() -> None:
    async with raw() as (channel, reader, _):
        channel.write(LONG)
        assert packed(LONG) == await reader.readexactly(4 + len(LONG))


async def test_one_side_deflates_while_the_other_does_not() -> None:
    async with between() as (new, old):
        new.deflate()
        for frame in (LONG, b"short", LONG[1:]):
            new.write(frame)
            assert frame == await old.read()
            old.write(frame)
            assert frame == await new.read()


async def test_what_would_not_become_shorter_goes_as_it_is_between_others() -> None:
    async with raw() as (channel, reader, _):
        channel.deflate()
        for write in (channel.write, channel.write_as_is, channel.write):
            write(LONG)
        deflated = packed(Deflater().deflate(LONG), DEFLATED)
        expected = deflated + packed(LONG) + packed(second(LONG), DEFLATED)
        assert expected == await reader.readexactly(len(expected))


async def test_a_long_frame_goes_deflated_and_a_short_one_as_it_is() -> None:
    async with raw() as (channel, reader, _):
        channel.write(LONG)
        channel.deflate()
        channel.write(b"x" * (WORTH_IT - 1))
        channel.write(LONG)
        await reader.readexactly(4 + len(LONG))
        assert packed(b"x" * (WORTH_IT - 1)) == await reader.readexactly(4 + WORTH_IT - 1)
        said = int.from_bytes(await reader.readexactly(4), "big")
        assert said & DEFLATED
        assert said & ~DEFLATED < len(LONG) / 10


async def test_a_frame_that_does_not_deflate_and_is_as_long_as_can_be_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_FRAME", 3_000_000)
    monkeypatch.setattr(channels, "_MAX_DEFLATED", 3_000_000 + 3_000_000 // 1024)
    async with between() as (one, other):
        one.deflate()
        frame = os.urandom(3_000_000)
        one.write(frame)
        assert frame == await other.read()
        with pytest.raises(ValueError, match="3000001"):
            one.write(frame + b"x")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param((MAX_FRAME + 1).to_bytes(4, "big"), "more than", id="too long"),
        pytest.param((DEFLATED | 2 * MAX_FRAME).to_bytes(4, "big"), "more than", id="too long, deflated"),
        pytest.param(b"\xff\xff\xff\xff", "more than", id="as long as can be said"),
        pytest.param(packed(Deflater().deflate(bytes(MAX_FRAME + 1)), DEFLATED), "inflates to more than", id="a bomb"),
        pytest.param(packed(b"\xff" * 9, DEFLATED), "does not inflate", id="no stream"),
        pytest.param(packed(second(LONG), DEFLATED), "does not inflate", id="without what it refers to"),
    ],
)
async def test_what_no_node_writes_ends_the_channel(said: bytes, why: str) -> None:
    async with raw() as (channel, reader, writer):
        writer.write(said)
        with pytest.raises(ProtocolViolation, match=why):
            await channel.read()
        assert b"" == await reader.read()


async def test_a_deflated_frame_that_is_cut_off_is_the_end() -> None:
    async with raw() as (channel, _, writer):
        writer.write(packed(Deflater().deflate(LONG), DEFLATED)[:-1])
        writer.close()
        assert await channel.read() is None


@settings(max_examples=50)
@given(
    st.lists(st.one_of(st.binary(max_size=2 * WORTH_IT), st.sampled_from([LONG, b""])), max_size=12),
    st.integers(0, 12),
    st.lists(st.integers(1, 600), min_size=1),
)
def test_any_frames_come_back_in_any_chunks(said: list[bytes], since: int, chunks: list[int]) -> None:
    async def written() -> bytes:
        async with raw() as (channel, reader, _):
            for number, frame in enumerate(said):
                if number == since:
                    channel.deflate()
                channel.write(frame)
            channel.close()
            return await reader.read()

    async def read(stream: bytes) -> list[bytes]:
        async with raw() as (channel, _, writer):
            reading = asyncio.ensure_future(_all_of(channel))
            at, number = 0, 0
            while at < len(stream):
                size = chunks[number % len(chunks)]
                writer.write(stream[at : at + size])
                await asyncio.sleep(0)
                at, number = at + size, number + 1
            writer.close()
            return await reading

    assert said == asyncio.run(read(asyncio.run(written())))


async def _all_of(channel: Channel) -> list[bytes]:
    frames = []
    while (frame := await channel.read()) is not None:
        frames.append(frame)
    return frames
