"""Comparing two indexes: what is left out of the sums, when it waits, what is offered; and the questions themselves."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.core import compare
from sidecar.core.ageing import Agreement
from sidecar.core.compare import Comparing, Sums
from sidecar.core.entry import NO_FLAGS, Dot, Flag, Head, Kind, Row, Stat, Version
from sidecar.core.frames import (
    Answered,
    Check,
    Checked,
    Compare,
    Compared,
    Frame,
    Hello,
    Lane,
    Look,
    Mark,
    Outcome,
    Question,
    Seen,
    Verdict,
)
from sidecar.core.links import Resolver
from sidecar.core.offering import next_offer
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine import comparing
from sidecar.engine.answering import seen
from sidecar.engine.asking import Asking
from sidecar.engine.comparing import Comparer, Way, resting, sums_for
from sidecar.engine.identity import Identity
from sidecar.engine.report import Reporter
from sidecar.errors import ProtocolViolation, Retryable
from sidecar.index.store import Index
from sidecar.metrics import Metrics

HELLO = Hello(1, "ams", "ams", 5, 6, "0", "3.5.0", 0, 0, 0, 0, 0, 0, 0, new_index=False)
HASH = bytes(16)


def row(path: str, counter: int, kind: Kind = Kind.FILE, flags: Flag = NO_FLAGS) -> Row:
    version = Version(((1, counter),), (Head(Dot(counter, 1), kind, 1, 1, 0o644, HASH),))
    stat = None if kind is Kind.TOMBSTONE else Stat(kind, 1, 1, 0o644, 7, 1)
    return Row(RelPath(path.encode()), version, stat, HASH if stat is not None else b"", 0, flags)


Opened = Callable[[], Index]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    numbers = itertools.count(1)
    with contextlib.ExitStack() as closing:

        def opener() -> Index:
            index = Index.open(tmp_path / f"{next(numbers)}.db", lambda: 9)
            closing.callback(index.close)
            return index

        yield opener


def identity(index: Index) -> Identity:
    made = Identity("msk", "msk", "0", "3.5.0", index, Resolver(lambda path: None), lambda: 0)
    made.found_done = True
    return made


def sums(*rows: Row) -> Sums:
    return compare.toggled(compare.EMPTY, (compare.sum_of(one.path, one.version) for one in rows))


def idle() -> Outbox:
    box = Outbox(0, 1 << 20)
    box.offers_loaded(0)
    return box


# -- sums


async def test_what_either_side_leaves_out_and_old_tombstones_are_not_summed_up(opened: Opened) -> None:
    index = opened()
    kept, held, there = row("kept", 500), row("held there", 500), row("excluded there", 500)
    young, old = row("young", 200, Kind.TOMBSTONE), row("old", 99, Kind.TOMBSTONE)
    for one in (kept, held, there, young, old, row("held here", 500, flags=Flag.HELD), row("f", 500, flags=Flag.FOUND)):
        index.put(one)
    to, back = Way(), Way()
    to.told(held.path, Outcome.HELD)
    back.told(there.path, Outcome.EXCLUDED)
    back.told(old.path, Outcome.REFUSED)
    back.told(RelPath(b"unknown"), Outcome.REFUSED)
    assert sums(kept, young) == await sums_for(index, [to, back], 100)
    to.told(held.path, Outcome.APPLIED)
    assert sums(kept, young, held) == await sums_for(index, [to, back], 100)
    assert sums(kept, young, held, there, old) == await sums_for(index, [], 0)


async def test_nothing_is_compared_while_too_much_is_left_out(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "MOST_LEFT_OUT", 2)
    way = Way()
    for path in (b"a", b"b"):
        way.told(RelPath(path), Outcome.HELD)
    assert compare.EMPTY == await sums_for(opened(), [way], 0)
    way.told(RelPath(b"c"), Outcome.HELD)
    way.told(RelPath(b"a"), Outcome.APPLIED)
    assert await sums_for(opened(), [way], 0) is None


def test_what_a_peer_cannot_take_now_is_no_reason_to_wait(opened: Opened) -> None:
    index, box = opened(), Outbox(0, 1 << 20)
    assert not resting(box, 0)
    box.offers_loaded(0)
    assert resting(box, 0)
    box.offer(index.put(row("a", 1)))
    assert not resting(box, 0)
    plan = next_offer(box, Resolver(lambda _: None), 9)
    assert plan is not None and not resting(box, 0)
    box.answered(Lane.OFFER, plan.number, Outcome.BUSY, (), 0)
    assert resting(box, 0)
    assert not box.idle


# -- a comparison


class Peer:
    """Answers what it is asked from an index of its own, or says that it is busy."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.busy = False
        self.apart = False
        self.questions: list[Question] = []

    async def ask(self, question: Question, _shape: type[Answered]) -> Answered:
        assert isinstance(question, Compare)
        self.questions.append(question)
        theirs = self.index.sums()
        if self.busy:
            return Compared(0, Verdict.BUSY, 0)
        if compare.digest_of(theirs) == question.digest:
            return Compared(0, Verdict.SAME, 0, apart=self.apart)
        return Compared(0, Verdict.DIFFERENT, 100, theirs, self.apart)


class Side:
    """This side: compares with `peer`, and notes what it would offer."""

    def __init__(self, index: Index, peer: Peer) -> None:
        self.index = index
        self.offered: list[bytes] = []
        self.state = Comparing(60.0, due=0.0)
        self.box = idle()
        self.metrics = Metrics()
        self.ways: list[Way] = []
        self.agreed: list[tuple[Agreement, int]] = []
        self.comparer = Comparer(
            identity(index), HELLO, self.box, self.state, self.metrics, ways=lambda: self.ways,
            asking=peer, offer=self._offer, agreed=lambda *told: self.agreed.append(told),  # type: ignore[arg-type]
        )  # fmt: skip

    def _offer(self, of: Row) -> bool:
        self.offered.append(of.path)
        return True

    def counted(self, result: str) -> float:
        return self.metrics.registry.get_sample_value(
            "georoot_comparisons_total", {"peer": "ams", "result": result}
        ) or 0.0  # fmt: skip


@pytest.fixture
def peer(opened: Opened) -> Peer:
    return Peer(opened())


@pytest.fixture
def side(opened: Opened, peer: Peer) -> Side:
    return Side(opened(), peer)


async def test_only_rows_of_buckets_that_differ_twice_are_offered(side: Side, peer: Peer) -> None:
    for number in range(5000):
        one = row(f"page-{number}", 500)
        side.index.put(one)
        if number != 7:
            peer.index.put(one)
    missing = row("page-7", 500)
    dead = next(path for path in map(str, range(9999)) if _bucket(path) == compare.bucket_of(missing.path))
    side.index.put(row(dead, 99, Kind.TOMBSTONE))  # the peer has dropped it
    await side.comparer.look()
    assert [] == side.offered
    await side.comparer.look()
    assert missing.path in side.offered and dead.encode() not in side.offered
    assert {compare.bucket_of(missing.path)} == {compare.bucket_of(RelPath(path)) for path in side.offered}
    assert (1, len(side.offered)) == (side.counted("different"), side.state.offered)
    peer.index.put(missing)
    await side.comparer.look()
    await side.comparer.look()
    assert (0, 1, 0) == (len(side.state.buckets), side.counted("different"), side.state.lasts)


def _bucket(path: str) -> int:
    return compare.bucket_of(RelPath(path.encode()))


async def test_equal_indexes_need_one_question_and_no_sums(side: Side, peer: Peer) -> None:
    for index in (side.index, peer.index):
        index.put(row("a", 1))
    await side.comparer.look()
    assert (1, 1, []) == (len(peer.questions), side.counted("same"), side.offered)
    assert not side.state.is_due(time.monotonic() + 59) and side.state.is_due(time.monotonic() + 61)


async def test_nothing_is_asked_while_something_is_under_way(side: Side, peer: Peer) -> None:
    side.box.offer(side.index.put(row("a", 1)))
    await side.comparer.look()
    assert ([], 1) == (peer.questions, side.counted("put_off"))
    assert not side.state.is_due(time.monotonic() + 4) and side.state.is_due(time.monotonic() + 6)


async def test_that_nothing_is_compared_because_too_much_is_left_out_is_said(side: Side, peer: Peer) -> None:
    """It stopped, and nobody heard of it."""
    way = Way(too_much=True)
    side.comparer._ways = lambda: [way]
    await side.comparer.look()
    assert (True, 1, []) == (side.state.hindered, side.counted("too_much_left_out"), peer.questions)
    link = SimpleNamespace(
        peer=SimpleNamespace(region="ams"),
        comparing=side.state,
        delivery=SimpleNamespace(problem="", bulk_problem=""),
    )
    node = SimpleNamespace(me=SimpleNamespace(clock_off_us={}), index=side.index)
    reporter: Any = Reporter
    told = reporter(node, SimpleNamespace(links={"ams": link}), None, "beside")
    (warning,) = told._of_the_peers()
    assert warning.startswith("the index is not compared with that of ams: more than 10000 paths")
    way.too_much = False
    await side.comparer.look()
    assert (False, 1, []) == (side.state.hindered, len(peer.questions), list(told._of_the_peers()))


async def test_a_busy_peer_is_asked_again_soon_and_nothing_is_made_of_it(side: Side, peer: Peer) -> None:
    side.index.put(row("a", 1))
    await side.comparer.look()
    peer.busy = True
    await side.comparer.look()
    peer.busy = False
    await side.comparer.look()
    assert ([], 1) == (side.offered, side.counted("put_off"))
    await side.comparer.look()
    assert [b"a"] == side.offered


async def test_a_row_that_a_peer_cannot_take_now_does_not_count(side: Side, peer: Peer) -> None:
    side.box.offer(side.index.put(row("a", 1)))
    plan = next_offer(side.box, Resolver(lambda _: None), 9)
    assert plan is not None
    side.box.answered(Lane.OFFER, plan.number, Outcome.BUSY, (), time.monotonic())
    await side.comparer.look()
    await side.comparer.look()
    assert (2, 0, []) == (len(peer.questions), side.counted("different"), side.offered)


# -- questions


async def test_an_answer_is_told_from_those_to_other_questions() -> None:
    said: list[Frame] = []
    asking = Asking(said.append)
    asking.answered(Compared(0, Verdict.BUSY, 0))
    asked = asyncio.ensure_future(asking.ask(Compare(b"", 0), Compared))
    await asyncio.sleep(0)
    (question,) = said
    assert isinstance(question, Compare) and question.number > 0
    asking.answered(Compared(question.number - 1, Verdict.BUSY, 0))
    asking.answered(Compared(question.number, Verdict.SAME, 3))
    assert Compared(question.number, Verdict.SAME, 3) == await asked


async def test_a_question_that_nobody_waits_for_any_more_does_not_answer_the_next() -> None:
    said: list[Frame] = []
    asking = Asking(said.append)
    asked = asyncio.ensure_future(asking.ask(Check(), Checked))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.sleep(0)
    following = asyncio.ensure_future(asking.ask(Check(), Checked))
    await asyncio.sleep(0)
    asking.answered(Checked(1, 1, 1, ended=True))
    asking.answered(Checked(2, 2, 2, ended=True))
    assert 2 == (await following).files


async def test_what_has_several_answers_ends_with_the_last() -> None:
    heard: list[int] = []

    def ends(one: Checked) -> bool:
        heard.append(one.files)
        return one.ended

    asking = Asking(lambda _: None)
    asked = asyncio.ensure_future(asking.ask(Check(), Checked, ends))
    await asyncio.sleep(0)
    for files in (1, 2, 3):
        asking.answered(Checked(1, files, 3, ended=files == 3))
    assert 3 == (await asked).files
    assert [1, 2, 3] == heard


async def test_a_cut_link_and_an_answer_of_another_kind_are_told() -> None:
    asking = Asking(lambda _: None)
    asked = asyncio.ensure_future(asking.ask(Compare(b"", 0), Compared))
    await asyncio.sleep(0)
    asking.answered(Seen(1, (), 0))
    with pytest.raises(ProtocolViolation):
        await asked
    asked = asyncio.ensure_future(asking.ask(Compare(b"", 0), Compared))
    await asyncio.sleep(0)
    asking.end()
    for _ in range(2):
        with pytest.raises(Retryable):
            await asked
        asked = asyncio.ensure_future(asking.ask(Compare(b"", 0), Compared))


# -- looks


async def test_a_look_tells_what_is_shown_where_it_differs_and_why(opened: Opened) -> None:
    index = opened()
    same, other, mine = row("same", 1), row("other", 2), row("mine", 3)
    held, found, gone = (
        row("held", 4, flags=Flag.HELD),
        row("found", 5, flags=Flag.FOUND),
        row("gone", 6, Kind.TOMBSTONE),
    )
    for one in (same, other, mine, held, found, gone):
        index.put(one)
    theirs = [(one.path, compare.sum_of(one.path, one.version), False) for one in (same, found)]
    theirs += [(held.path, 0, False)]  # it is held there too
    theirs += [(RelPath(b"other"), 77, False), (RelPath(b"x.log"), 78, False), (RelPath(b"theirs"), 79, True)]
    look = Look(tuple(range(compare.BUCKETS)), tuple(theirs), 5)
    told = await seen(index, lambda path, is_dir: path.endswith(b".log"), look)
    assert (5, 0) == (told.number, told.more)
    shown = {one.path: (one.head.dot.counter if one.head is not None else None, one.mark) for one in told.paths}
    assert {
        b"other": (2, Mark.NONE),
        b"mine": (3, Mark.NONE),
        b"held": (4, Mark.HELD),
        b"found": (0, Mark.FOUND),
        b"gone": (None, Mark.NONE),
        b"x.log": (None, Mark.EXCLUDED),
        b"theirs": (None, Mark.NONE),
    } == shown


async def test_a_look_lists_so_many_and_counts_the_rest(opened: Opened) -> None:
    theirs = tuple((RelPath(b"%d" % number), 1, False) for number in range(1234))
    told = await seen(opened(), lambda path, is_dir: False, Look((0,), theirs))
    assert (1000, 234) == (len(told.paths), told.more)
    with pytest.raises(ProtocolViolation):
        await seen(opened(), lambda path, is_dir: False, Look((0,), ((RelPath(b"../x"), 1, False),)))


async def test_what_a_peer_has_dropped_is_no_difference_and_both_agree(side: Side, peer: Peer) -> None:
    there, dead, held = row("there", 500), row("dead", 99, Kind.TOMBSTONE), row("held", 500)
    for one in (there, dead, held):
        side.index.put(one)
    peer.index.put(there)
    side.box.offers_loaded(side.index.max_seq())
    side.ways = [Way()]
    side.ways[0].told(held.path, Outcome.HELD)
    await side.comparer.look()
    assert [(Agreement(3, frozenset((held.path,))), 100)] == side.agreed
    assert (1, 0) == (side.counted("same"), side.counted("different"))


@pytest.mark.parametrize("dead", [False, True])
async def test_who_holds_something_agrees_on_nothing_for_it_is_in_no_sum(side: Side, peer: Peer, dead: bool) -> None:
    peer.apart = True
    there = row("there", 500)
    side.index.put(there)
    if dead:
        side.index.put(row("dead", 99, Kind.TOMBSTONE))
    peer.index.put(there)
    side.box.offers_loaded(side.index.max_seq())
    await side.comparer.look()
    assert (1, []) == (side.counted("same"), side.agreed)


async def test_who_differs_agrees_on_nothing(side: Side, peer: Peer) -> None:
    side.index.put(row("page", 500))
    for _ in range(3):
        await side.comparer.look()
    assert [] == side.agreed


async def test_a_deleted_directory_that_stays_here_alone_is_as_old_as_its_tombstone_elsewhere(opened: Opened) -> None:
    index, there = opened(), row("page", 500)
    index.put(there)
    gone = row("d", 99, Kind.TOMBSTONE)
    index.put(Row(gone.path, gone.version, Stat(Kind.DIR, 0, 1, 0o755, 7, 1), flags=Flag.KEPT))
    assert sums(there) == await sums_for(index, [], 100)
    assert sums(there, gone) == await sums_for(index, [], 99)
    stays = index.get(gone.path)
    assert stays is not None and comparing.is_dead(stays, 100) and not comparing.is_dead(there, 1000)
