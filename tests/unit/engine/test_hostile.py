"""Whatever a peer says over its link: it is understood, or a protocol violation, and takes no memory for ever."""

import asyncio
import gc
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core import frames
from sidecar.core.entry import Dot, Head, Kind, Version
from sidecar.core.frames import MAX_ENCLOSED, PROTOCOL, Batch, Entry, Frame, Hello, How, Lane, Ping, Sent, Settle
from sidecar.core.lanes import WINDOW
from sidecar.core.paths import RelPath
from sidecar.engine.inbound import Inbound
from sidecar.engine.node import Node
from sidecar.engine.receiving import MAX_STAGING, MAX_UNANSWERED
from sidecar.errors import ProtocolViolation, Retryable
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index
from sidecar.metrics import Metrics
from tests.unit.engine.conftest import Starter, options
from tests.unit.engine.connections import receiver

HELLO = Hello(PROTOCOL, "ams", "ams-0", 5, 6, "0.1.0", "3.5.0", 10, 11, 0, 0, 0, 0, 0, False)
FILE = Head(Dot(3, 9), Kind.FILE, 1, 7, 0o644, b"h" * 16)
EDGES = (0, 1, -1, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 7)


class Said:
    """A channel over which a peer has said this; it is cut when that is `done`, at the latest after some time."""

    def __init__(self, said: Iterable[bytes]) -> None:
        self._said = iter(said)
        self.done: Callable[[], object] = lambda: True
        self.answered: list[bytes] = []

    async def read(self) -> bytes | None:
        await asyncio.sleep(0)
        raw = next(self._said, None)
        if raw is None:
            for _ in range(1000):
                await asyncio.sleep(0.01)
                if self.done():
                    break
        return raw

    def write(self, frame: bytes) -> None:
        self.answered.append(frame)

    def close(self) -> None:
        self._said = iter(())


def inbound(node: Node, said: Iterable[bytes]) -> Inbound:
    return receiver(node, Said(said))


def settled_by(link: Inbound, done: Callable[[], object]) -> Said:
    """The link is cut when this is true."""
    channel: Any = link._channel
    said: Said = channel
    said.done = done
    return said


def heard(node: Node, *said: Frame) -> tuple[Inbound, BaseException]:
    """What became of a link over which this was said."""
    link = inbound(node, [frames.encode(HELLO), *(frames.encode(frame) for frame in said)])
    return link, ended(link)


def ended(link: Inbound) -> BaseException:
    try:
        asyncio.run(asyncio.wait_for(link.run(), 60))
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        return error
    except (ProtocolViolation, Retryable) as error:
        return error
    raise AssertionError("a link ends by an error only")


def batch(number: int, batch_id: str = "", lane: Lane = Lane.SMALL, count: int = 0, how: How = How.NONE) -> Batch:
    entries = tuple(Entry(RelPath(b"p%d" % each), Version(((9, 3),), (FILE,)), how) for each in range(count))
    return Batch(lane, number, batch_id, 0, entries)


# -- frames


def raw_entry(**fields: Any) -> Any:
    head: dict[str, Any] = {
        "counter": 3,
        "run": 9,
        "kind": 1,
        "size": 1,
        "mtime": 7,
        "mode": 0o644,
        "hash": b"h" * 16,
        "target": b"",
    }
    head |= {"vector": ((9, 3),), "heads": 1, "leans": 0, "name": b"", "entry_hash": b""} | fields
    one = [(head["counter"], head["run"]), *(head[key] for key in ("kind", "size", "mtime", "mode", "hash", "target"))]
    return [b"a", [head["vector"], [one] * head["heads"]], 0, head["name"], head["entry_hash"], head["leans"]]


def raw_batch(entry: Any, number: Any = 1, cursor: Any = 0, lane: Any = 0) -> bytes:
    return msgspec.msgpack.encode(["batch", lane, number, "", cursor, [entry]])


HOSTILE = {
    "mtime": raw_batch(raw_entry(mtime=2**63)),
    "an early mtime": raw_batch(raw_entry(mtime=-(2**63))),
    "size": raw_batch(raw_entry(size=2**63)),
    "a negative size": raw_batch(raw_entry(size=-1)),
    "mode": raw_batch(raw_entry(mode=0o10000)),
    "a long hash": raw_batch(raw_entry(hash=b"h" * 17)),
    "a short hash": raw_batch(raw_entry(hash=b"h" * 15)),
    "a file without a hash": raw_batch(raw_entry(hash=b"")),
    "a directory with a hash": raw_batch(raw_entry(kind=2)),
    "a symlink that leads nowhere": raw_batch(raw_entry(kind=3, hash=b"")),
    "a target with a NUL": raw_batch(raw_entry(kind=3, hash=b"", target=b"a\0b")),
    "a long target": raw_batch(raw_entry(kind=3, hash=b"", target=b"t" * 4096)),
    "counter": raw_batch(raw_entry(counter=2**63)),
    "a negative counter": raw_batch(raw_entry(counter=-1)),
    "run": raw_batch(raw_entry(run=2**63)),
    "a counter of the vector": raw_batch(raw_entry(vector=((9, 2**63),))),
    "a long vector": raw_batch(raw_entry(vector=tuple((run, 1) for run in range(65_537)))),
    "a vector out of order": raw_batch(raw_entry(vector=((9, 3), (8, 3)))),
    "a run twice": raw_batch(raw_entry(vector=((9, 3), (9, 4)))),
    "a head twice": raw_batch(raw_entry(heads=2)),
    "heads": raw_batch(raw_entry(heads=257)),
    "leans": raw_batch(raw_entry(leans=2**63)),
    "a long name": raw_batch(raw_entry(name=b"n" * 4096)),
    "a wanted hash": raw_batch(raw_entry(entry_hash=b"h")),
    "number 0": raw_batch(raw_entry(), number=0),
    "number": raw_batch(raw_entry(), number=2**63),
    "a batch's cursor": raw_batch(raw_entry(), cursor=2**63),
    "a ping's seq": msgspec.msgpack.encode(["ping", 2**63, 0, 0]),
    "a ping's cursor": msgspec.msgpack.encode(["ping", 0, 2**63, 0]),
    "a ping's negative seq": msgspec.msgpack.encode(["ping", -1, 0, 0]),
    "the end's cursor": msgspec.msgpack.encode(["offers-end", 2**64 - 1]),
    "what is compared": msgspec.msgpack.encode(["compare", b"d" * 16, 2**63]),
    "a long digest": msgspec.msgpack.encode(["compare", b"d" * 17, 1]),
    "long sums": msgspec.msgpack.encode(["compared", 1, 1, b"s" * 8193]),
    "an exit status": msgspec.msgpack.encode(["sent", 0, 1, 2**31]),
    "a long reason": msgspec.msgpack.encode(["bye", "x" * 40_000]),
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_more_than_a_field_can_hold_is_a_violation(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        frames.decode(raw)


def test_what_is_within_bounds_is_understood() -> None:
    most = 2**63 - 1
    fields = {"mtime": -most, "size": most, "mode": 0o7777, "counter": most, "run": most, "vector": ((most, most),)}
    frames.decode(raw_batch(raw_entry(**fields), number=most, cursor=most))


# -- a link


def test_a_number_too_far_ahead_cuts_the_link(start: Starter) -> None:
    _, error = heard(start(), *(batch(number) for number in range(2, WINDOW + 1)))
    assert isinstance(error, Retryable), error
    _, error = heard(start(), batch(WINDOW + 1))
    assert isinstance(error, ProtocolViolation)
    _, error = heard(start(), Sent(Lane.LARGE, WINDOW + 1, 0))
    assert isinstance(error, ProtocolViolation)


def test_ends_that_are_told_again_and_again_are_forgotten(start: Starter) -> None:
    told = [Sent(lane, number, 0) for lane in Lane for number in range(1, WINDOW + 1)]
    link, _ = heard(start(), *told * 3)
    assert 3 * WINDOW == len(link._receiving._ended)
    worked = [batch(number) for number in range(1, 500)]
    said: tuple[Frame, ...] = (HELLO, *worked, *(Sent(Lane.SMALL, number, 0) for number in range(1, 500)))
    link = inbound(start(), [frames.encode(frame) for frame in said])
    settled_by(link, lambda: not link._receiving._ended)
    ended(link)
    assert {} == link._receiving._ended
    assert {} == link._receiving._unanswered


def test_a_batch_whose_rsync_ends_after_its_answer_leaves_nothing(start: Starter) -> None:
    node = start()
    link = inbound(node, [frames.encode(HELLO), frames.encode(batch(1, "ams-0.x", count=1))])
    said = settled_by(link, lambda: not link._receiving._ended)

    def answered(frame: bytes) -> None:
        if isinstance(frames.decode(frame), Settle):
            link._take(Sent(Lane.SMALL, 1, 0), 0)

    said.write = answered  # type: ignore[method-assign]
    ended(link)
    assert (set(), {}) == (link._receiving._staging, link._receiving._ended)


@pytest.mark.parametrize("other", Lane)
def test_one_batch_name_in_two_lanes_cuts_the_link(start: Starter, other: Lane) -> None:
    number = 2 if other is Lane.SMALL else 1
    staged = (batch(1, "ams-0.x", count=1, how=How.STAGED), batch(number, "ams-0.x", other, 1, How.STAGED))
    _, error = heard(start(), *staged)
    assert isinstance(error, ProtocolViolation)


def test_files_without_a_batch_cut_the_link(start: Starter) -> None:
    _, error = heard(start(), batch(1, count=1, how=How.STAGED))
    assert isinstance(error, ProtocolViolation)


def test_more_than_is_answered_cuts_the_link(start: Starter) -> None:
    waits = [batch(1, "ams-0.x", count=1, how=How.STAGED)]
    full = [batch(number, count=16_384) for number in range(2, 2 + MAX_UNANSWERED // 16_384)]
    _, error = heard(start(), *waits, *full)
    assert isinstance(error, ProtocolViolation)
    many = [batch(number, f"ams-0.{number}") for number in range(2, MAX_STAGING + 3)]
    _, error = heard(start(), *waits, *many)
    assert isinstance(error, ProtocolViolation)


# -- anything

NUMBERS = st.one_of(st.sampled_from(EDGES), st.integers(-3, 70))
BYTES = st.one_of(st.sampled_from((b"", b"a", b"a/b", b"../x", b".sidecar/x", b"a\0b", b"h" * 16, b"n" * 300)))
DOT = st.tuples(NUMBERS, NUMBERS)
HEAD = st.tuples(DOT, st.integers(0, 3), NUMBERS, NUMBERS, NUMBERS, BYTES, BYTES)
SOUND = st.sampled_from(
    [
        ((3, 9), 1, 1, 7, 0o644, b"h" * 16, b""),
        ((4, 9), 0, 0, 0, 0, b"", b""),
        ((5, 9), 2, 0, 0, 0o755, b"", b""),
        ((6, 9), 3, 0, 7, 0, b"", b"a"),
    ]
)
VERSION = st.one_of(
    st.tuples(st.lists(DOT, max_size=2), st.lists(HEAD, max_size=2)),
    st.tuples(st.just([(9, 6)]), st.lists(SOUND, min_size=1, max_size=1)),
)
CONTENT = st.sampled_from((None, None, None, b"", b"a page", b"c" * MAX_ENCLOSED, b"c" * (MAX_ENCLOSED + 1)))
ENTRY = st.tuples(BYTES, VERSION, st.integers(0, 4), BYTES, BYTES, st.integers(-1, 3), CONTENT)
NAMES = st.sampled_from(("", "ams-0.x", "ams-0.y", "..", "a/b", "x" * 300))
LANE = st.integers(0, 3)
FRAME = st.one_of(
    st.tuples(st.just("batch"), LANE, st.integers(1, 4), NAMES, NUMBERS, st.lists(ENTRY, max_size=3)),
    st.tuples(st.just("batch"), LANE, NUMBERS, NAMES, st.just(0), st.lists(ENTRY, max_size=2)),
    st.tuples(st.just("sent"), LANE, NUMBERS, NUMBERS),
    st.tuples(st.just("ping"), NUMBERS, NUMBERS, NUMBERS),
    st.tuples(st.just("offers-end"), NUMBERS),
    st.tuples(st.just("gone"), BYTES, BYTES),
    st.tuples(st.just("settle"), LANE, NUMBERS, st.integers(0, 9), st.just([])),
    st.just(("hello", *msgspec.structs.astuple(HELLO))),
    st.tuples(st.just("compare"), BYTES, NUMBERS),
    st.tuples(st.just("compared"), st.integers(0, 3), NUMBERS, BYTES),
    st.just(("bye", "it ends")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAME, min_size=1, max_size=12))
def test_whatever_is_said_ends_in_a_cut_link_and_in_nothing_else(said: list[Any]) -> None:
    gc.freeze()  # what the suite holds by now is not gone through for each example
    with tempfile.TemporaryDirectory() as volume:
        (Path(volume) / "html").mkdir()
        made = options(Path(volume))
        with WebRoot(made.root, made.state, made.inbox) as root:
            index = Index.open(Path(made.state) / "index.db", lambda: 1001)
            index.start_run("boot", 1)
            node = Node(made, root, index, Metrics(), "3.5.0")
            try:
                link = inbound(node, [frames.encode(HELLO), *(msgspec.msgpack.encode(frame) for frame in said)])
                error = ended(link)
                assert isinstance(error, ProtocolViolation | Retryable), repr(error)
                assert len(link._receiving._ended) <= len(Lane) * (WINDOW + len(said))
                assert all(len(order.waiting) < WINDOW for order in link._receiving._orders.values())
            finally:
                node.watcher.close()
                index.close()
    gc.collect()
    gc.unfreeze()


def test_batches_without_entries_count_as_well(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.receiving.MAX_UNANSWERED", 100)
    _, error = heard(start(), batch(1, "ams-0.x", count=1, how=How.STAGED), *(batch(n) for n in range(2, 102)))
    assert isinstance(error, ProtocolViolation)


def test_bytes_of_what_is_not_answered_count_as_well(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.engine.receiving.MAX_UNANSWERED_BYTES", 200_000)
    long = Entry(RelPath(b"p"), Version(tuple((run, 1) for run in range(10_000)), ()))
    waits = batch(1, "ams-0.x", count=1, how=How.STAGED)
    large = [Batch(Lane.SMALL, number, "", 0, (long,)) for number in range(2, 7)]
    assert 40_000 < len(frames.encode(large[0])) < 60_000
    _, error = heard(start(), waits, *large[:3])
    assert isinstance(error, Retryable), error
    _, error = heard(start(), waits, *large)
    assert isinstance(error, ProtocolViolation)


def test_a_ping_is_answered_by_what_is_stored_of_it(start: Starter) -> None:
    node = start()
    link = inbound(node, [frames.encode(frame) for frame in (HELLO, Ping(11, 7, 1), Ping(11, 9, 1), Ping(11, 3, 1))])
    channel: Any = link._channel
    ended(link)
    said = [frame for raw in channel.answered if isinstance(frame := frames.decode(raw), Ping)]
    assert [7, 9, 9] == [ping.cursor for ping in said]
    stored = node.index.peer("ams", "ams-0")
    assert stored is not None and 9 == stored.cursor
