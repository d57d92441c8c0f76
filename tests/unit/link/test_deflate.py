"""Deflated frames: whatever goes in comes out, in any chunks; what no node deflates so is a protocol violation."""

import os
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ProtocolViolation
from sidecar.link.deflate import Deflater, Inflater

LIMIT = 100_000
RAW = -zlib.MAX_WBITS

texts = st.lists(st.sampled_from([b"releases/1/page-", b"\0" * 500, b"\xff", b"\x00\x00\xff\xff"])).map(b"".join)
frames = st.lists(st.one_of(st.binary(max_size=400), texts), max_size=20)


@given(frames)
def test_frames_come_out_as_they_went_in(said: list[bytes]) -> None:
    deflater, inflater = Deflater(), Inflater(LIMIT)
    assert said == [inflater.inflate(deflater.deflate(frame)) for frame in said]


def test_what_was_said_before_costs_little() -> None:
    deflater, frame = Deflater(), os.urandom(2000)
    assert len(deflater.deflate(frame)) >= 2000
    assert len(deflater.deflate(frame)) < 100


def test_a_frame_as_long_as_the_limit_comes_out() -> None:
    frame = bytes(LIMIT)
    assert frame == Inflater(LIMIT).inflate(Deflater().deflate(frame))


def test_a_bomb_takes_no_more_than_the_limit() -> None:
    bomb = Deflater().deflate(bytes(300 * LIMIT))
    inflater = Inflater(LIMIT)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolViolation, match=f"inflates to more than {LIMIT} bytes"):
            inflater.inflate(bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 5 * LIMIT


def test_one_byte_over_the_limit_is_too_long() -> None:
    with pytest.raises(ProtocolViolation, match="inflates to more than"):
        Inflater(LIMIT).inflate(Deflater().deflate(bytes(LIMIT + 1)))


def test_a_stream_that_ends_is_refused() -> None:
    stream = zlib.compressobj(1, zlib.DEFLATED, RAW)
    with pytest.raises(ProtocolViolation, match="nothing more"):
        Inflater(LIMIT).inflate(stream.compress(b"the last") + stream.flush())


@pytest.mark.parametrize("raw", [b"\xff" * 20, b"\x07", zlib.compress(b"a header" * 20)], ids=["ones", "7", "zlib"])
def test_what_is_no_stream_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation, match=r"does not inflate|nothing more"):
        Inflater(LIMIT).inflate(raw)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5), st.data())
def test_what_was_cut_off_or_changed_is_other_bytes_or_a_violation(said: list[bytes], data: st.DataObject) -> None:
    deflater, inflater = Deflater(), Inflater(LIMIT)
    for frame in said:
        raw = bytearray(deflater.deflate(frame))
        at = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            del raw[at:]
        else:
            raw[at] ^= 1 << data.draw(st.integers(0, 7))
        try:
            assert len(inflater.inflate(bytes(raw))) <= LIMIT
        except ProtocolViolation:
            return
