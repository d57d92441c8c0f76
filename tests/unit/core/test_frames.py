"""Frames come back as they were sent; what is none of ours is a protocol violation."""

import enum

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import frames
from sidecar.core.entry import NEVER, Dot, Kind
from sidecar.core.frames import (
    MAX_ENTRIES,
    Answer,
    Batch,
    Bye,
    Check,
    Checked,
    Compare,
    Compared,
    Entry,
    Frame,
    Gone,
    Hello,
    How,
    Lack,
    Lane,
    Look,
    Mark,
    OffersEnd,
    Outcome,
    Ping,
    Renamed,
    Seen,
    Sent,
    Settle,
    Shows,
    Verdict,
)
from sidecar.core.paths import RelPath
from sidecar.errors import ProtocolViolation
from tests.unit.core.facts import THEIRS, deleted, digest, directory, file, path, symlink, version

ENTRIES = (
    Entry(path("a/b"), version(file(3), file(4, THEIRS, "b")), How.STAGED),
    Entry(path("a"), version(directory(3)), leans=7),
    Entry(path("new"), version(symlink(3)), How.FROM, b"old"),
    Entry(RelPath(b"\xff\n"), version(deleted(3))),
    Entry(path("a/b"), version(file(3)), How.LOSER, b"copy", digest("b")),
    Entry(path("a/b"), version(file(3)), How.STAGED, content=b"a page"),
    Entry(path("a/b"), version(file(3)), How.STAGED, content=b""),
)
FRAMES: tuple[Frame, ...] = (
    Hello(1, "msk", "msk-0", 2**63 - 1, 5, "0.1.0", "3.5.0", 10, 11, 12, 13, 14, 15, 16, True),
    Ping(1, 2, 3),
    Renamed(path("old"), path("new"), Dot(2**63 - 1, 2**63 - 1), 10_001, -(2**63)),
    Batch(Lane.LARGE, 4, "msk-0.x", 9, ENTRIES),
    Batch(Lane.OFFER, 1, "", 0, ()),
    Sent(Lane.SMALL, 4, -9),
    Settle(Lane.SMALL, 4, Outcome.APPLIED, (Answer(1, Outcome.WANT, digest("b")), Answer(2, Outcome.HELD, hint="why"))),
    Gone(path("a"), digest("a"), (Lack("ams", 5, ("msk", "fra")),)),
    OffersEnd(7),
    Compare(b"0123456789abcdef", 5),
    Compared(1, Verdict.DIFFERENT, 5, b"sums"),
    Look((0, 1023), ((path("a"), -5, False), (path("d"), 0, True)), 2),
    Seen(2, (Shows(path("a"), file(3)), Shows(path("d"), None, Mark.EXCLUDED)), 7),
    Check(3),
    Checked(3, 5, 9, True, 1, (path("a"),)),
    Bye("stopping"),
)
RAW = [frames.encode(frame) for frame in FRAMES]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_comes_back_as_it_was_sent(frame: Frame) -> None:
    assert frame == frames.decode(frames.encode(frame))


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        ("SMALL LARGE OFFER", Lane),
        ("NONE STAGED FROM LOSER", How),
        ("APPLIED KNOWN HELD REFUSED TORN AGAIN WANT BUSY EXCLUDED STALE FULL", Outcome),
        ("NONE HELD FOUND EXCLUDED FORGOTTEN", Mark),
        ("SAME DIFFERENT BUSY", Verdict),
        ("TOMBSTONE FILE DIR SYMLINK", Kind),
    ],
)
def test_the_numbers_on_the_wire_stay_what_they_are(numbers: str, names: type[enum.IntEnum]) -> None:
    """Two versions meet while regions are upgraded one after the other."""
    assert list(enumerate(numbers.split())) == [(name.value, name.name) for name in names]


def test_a_hello_is_understood_by_and_of_an_older_node_that_knows_fewer_fields() -> None:
    hello = Hello(1, "msk", "msk-0", 1, 5, "0.1.0", "3.5.0", 10, 11, 12, 13, 14, 15, 16, True, True, True, True, True)
    fields = msgspec.msgpack.decode(frames.encode(hello))
    older = frames.decode(msgspec.msgpack.encode(fields[:-3]))
    assert older == msgspec.structs.replace(hello, inflates=False, encloses=False, renames=False)
    assert hello == frames.decode(msgspec.msgpack.encode([*fields, "of a later version"]))


def test_every_outcome_is_settled_or_comes_again() -> None:
    again = {Outcome.TORN, Outcome.AGAIN, Outcome.WANT, Outcome.BUSY, Outcome.FULL}
    assert set(Outcome) == frames.SETTLED | again and not frames.SETTLED & again


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(("launch", 1), id="a kind that nobody knows"),
        pytest.param(("ping",), id="a kind alone"),
        pytest.param(("ping", 1, 2, "three"), id="a field of another type"),
        pytest.param(("gone", "a", b"h"), id="a text where bytes are due"),
        pytest.param(("sent", 9, 1, 0), id="a lane that nobody has"),
        pytest.param(("settle", 0, 1, 256, ()), id="an outcome that no version has"),
        pytest.param(("settle", 0, 1, -1, ()), id="an outcome below all"),
        pytest.param(
            ("batch", 0, 1, "", 0, ((b"a", ((), (((1, 1), 9),))),)), id="an entry with a kind that nobody has"
        ),
        pytest.param(("look", (1024,), (), 1), id="a bucket that there is not"),
        pytest.param({"type": "ping"}, id="no array"),
        pytest.param(None, id="nothing"),
        pytest.param(7, id="a number"),
    ],
)
def test_a_foreign_frame_is_refused(value: object) -> None:
    with pytest.raises(ProtocolViolation):
        frames.decode(msgspec.msgpack.encode(value))


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
def test_a_frame_that_was_cut_off_or_goes_on_is_refused(raw: bytes) -> None:
    for at in range(len(raw)):
        with pytest.raises(ProtocolViolation):
            frames.decode(raw[:at])
    with pytest.raises(ProtocolViolation):
        frames.decode(raw + b"\0")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_violation(raw: bytes) -> None:
    try:
        frames.decode(raw)
    except ProtocolViolation:
        pass


@given(st.sampled_from(RAW), st.data())
def test_a_frame_with_a_flipped_byte_is_a_frame_or_a_violation(raw: bytes, data: st.DataObject) -> None:
    flipped = bytearray(raw)
    flipped[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        frames.decode(bytes(flipped))
    except ProtocolViolation:
        pass


def test_a_look_names_so_many_rows_and_no_more() -> None:
    most = Look((1,), ((path("a"), 1, False),) * MAX_ENTRIES)
    assert most == frames.decode(frames.encode(most))
    with pytest.raises(ProtocolViolation, match="20000"):
        frames.decode(frames.encode(Look((1,), (*most.rows, most.rows[0]))))


def test_a_batch_holds_so_many_entries_and_no_more() -> None:
    entry = Entry(path("a"), NEVER)
    most = Batch(Lane.SMALL, 1, "", 0, (entry,) * MAX_ENTRIES)
    assert most == frames.decode(frames.encode(most))
    with pytest.raises(ProtocolViolation, match="length <= 20000"):
        frames.decode(frames.encode(Batch(Lane.SMALL, 1, "", 0, (entry,) * (MAX_ENTRIES + 1))))


def test_what_a_later_version_answers_is_taken_as_refused() -> None:
    frame = frames.decode(msgspec.msgpack.encode(("settle", 0, 1, 200, ((0, 201, b"", "later"), (1, 0)))))
    answers = (Answer(0, Outcome.REFUSED, hint="later"), Answer(1, Outcome.APPLIED))
    assert Settle(Lane.SMALL, 1, Outcome.REFUSED, answers) == frame
