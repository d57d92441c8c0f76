"""When a tombstone may go, and what becomes of a row that a node lacks which has dropped some."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import ageing
from sidecar.core import version as versions
from sidecar.core.ageing import Agreement, Lacked, NodeName
from sidecar.core.entry import NEVER, Flag, Row, Version
from tests.unit.core.facts import OURS, THEIRS, deleted, directory, file, path, row, stat, symlink, version

LIVE = version(file(100, THEIRS))
GONE = version(deleted(100, THEIRS))


@pytest.mark.parametrize(
    ("here", "incoming", "since", "expected", "why"),
    [
        (NEVER, LIVE, 0, Lacked.NEW, "nothing was ever dropped, as in a new index"),
        (NEVER, LIVE, 100, Lacked.NEW, "every deletion from then on is known, and there is none"),
        (NEVER, LIVE, 101, Lacked.STALE, "it may have been deleted"),
        (NEVER, version(directory(100, THEIRS)), 101, Lacked.STALE, "so may a directory"),
        (NEVER, version(symlink(100, THEIRS)), 101, Lacked.STALE, "and a symlink"),
        (NEVER, version(file(100, THEIRS), file(200)), 101, Lacked.NEW, "somebody has written it since"),
        (NEVER, GONE, 101, Lacked.PAST, "a deletion of what is not here"),
        (NEVER, GONE, 100, Lacked.NEW, "one that is to be remembered"),
        (NEVER, NEVER, 101, Lacked.NEW, "nobody wrote it"),
        (version(file(50)), LIVE, 101, Lacked.NEW, "it is here: the two are merged"),
        (version(deleted(50)), LIVE, 101, Lacked.STALE, "what was deleted here was made anew after it"),
        (version(deleted(50)), LIVE, 100, Lacked.NEW, "an edit beats a deletion that has not heard of it"),
        (version(deleted(200), seen=((THEIRS, 100),)), LIVE, 101, Lacked.NEW, "the deletion has heard of it: known"),
        (version(deleted(50)), GONE, 101, Lacked.NEW, "two deletions"),
    ],
)
def test_what_is_made_of_what_a_peer_sends(
    here: Version, incoming: Version, since: int, expected: Lacked, why: str
) -> None:
    assert expected is ageing.judge(Row(path("a"), here), incoming, since), why


def test_what_lies_there_is_never_lacked() -> None:
    assert Lacked.NEW is ageing.judge(Row(path("a"), NEVER, stat()), LIVE, 101)


def test_what_is_held_here_for_that_reason_is_no_better_known_here() -> None:
    held = row("a", LIVE, flags=Flag.FORGOTTEN)
    assert Lacked.STALE is ageing.judge(held, LIVE, 0)
    assert Lacked.NEW is ageing.judge(held, version(file(200, THEIRS, "b")), 0)


COUNTERS = st.integers(1, 300)
HEADS = st.builds(lambda make, counter, run: make(counter, run), st.sampled_from((file, directory, deleted)), COUNTERS,
                  st.integers(1, 4))  # fmt: skip
VERSIONS = st.lists(HEADS, max_size=3, unique_by=lambda head: head.dot).map(lambda heads: version(*heads))


@given(VERSIONS, VERSIONS, COUNTERS)
def test_what_was_written_since_is_always_decided_on(here: Version, incoming: Version, since: int) -> None:
    best = versions.winner(versions.merge(here, incoming))
    if best is not None and best.dot.counter >= since:
        assert Lacked.NEW is ageing.judge(Row(path("a"), here), incoming, since)


@given(VERSIONS, VERSIONS, COUNTERS)
def test_nothing_old_that_is_not_known_comes_to_life(here: Version, incoming: Version, since: int) -> None:
    """Where nothing lives."""
    before, after = versions.winner(here), versions.winner(versions.merge(here, incoming))
    if (before is not None and before.kind) or after is None or not after.kind:
        return
    if versions.newest(incoming) < since and not versions.covers(here, after.dot):
        assert Lacked.STALE is ageing.judge(Row(path("a"), here), incoming, since)


# -- dropping

AMS, NYC = NodeName("ams", "ams"), NodeName("nyc", "nyc-0")


@pytest.mark.parametrize(
    ("known", "agreements", "expected", "why"),
    [
        ([], {}, True, "nobody else knows of anything"),
        ([AMS], {}, None, "not one was seen to have anything"),
        ([AMS, NYC], {AMS: Agreement(7)}, None, "all must have been"),
        ([AMS, NYC], {AMS: Agreement(7), NYC: None}, None, "over this connection"),
        ([AMS, NYC], {AMS: Agreement(7), NYC: Agreement(5)}, 5, "what all have"),
        ([AMS], {AMS: Agreement(7), NYC: Agreement(5)}, 7, "who was forgotten is not asked"),
    ],
)
def test_what_everybody_has(
    known: list[NodeName], agreements: dict[NodeName, Agreement | None], expected: int | bool | None, why: str
) -> None:
    agreed = ageing.agreed(known, agreements)
    if expected is True:
        assert agreed is not None and agreed.seq > 1 << 62, why
    else:
        assert expected == (agreed.seq if agreed is not None else None), why


def test_what_one_of_them_leaves_out_nobody_is_known_to_have() -> None:
    a, b = path("a"), path("b")
    agreed = ageing.agreed([AMS, NYC], {AMS: Agreement(7, {a}), NYC: Agreement(7, {b})})
    assert agreed == Agreement(7, frozenset((a, b)))
    dead = row("a", version(deleted(10)), seq=3)
    assert not ageing.may_go(dead, 11, agreed)
    assert ageing.may_go(dead, 11, Agreement(7))


@pytest.mark.parametrize(
    ("one", "goes", "why"),
    [
        (row("a", version(deleted(10)), seq=7), True, "old, and everybody has it"),
        (row("a", version(deleted(11)), seq=7), False, "not old yet"),
        (row("a", version(deleted(10)), seq=8), False, "it changed after they were seen to have it"),
        (row("a", version(file(10)), seq=7), False, "it lives"),
        (row("a", version(deleted(10)), seq=7, flags=Flag.HELD), False, "a newer version is held"),
        (row("a", version(deleted(9), file(10)), seq=7), False, "an edit lives beside the deletion"),
        (Row(path("a"), version(file(10)), None, seq=7, flags=Flag.FOUND), False, "a power loss took it"),
        (Row(path("a"), version(deleted(10)), stat(), seq=7, flags=Flag.KEPT), False, "the directory stays here"),
        (row("a", NEVER, seq=7), False, "nobody wrote it"),
    ],
)
def test_which_rows_may_go(one: Row, goes: bool, why: str) -> None:
    assert goes is ageing.may_go(one, 11, Agreement(7)), why


@given(st.lists(st.integers(0, 1000)), st.integers(0, 1000), st.integers(1, 50), st.integers(0, 1000))
def test_what_a_node_writes_while_it_is_away_is_younger_than_what_is_dropped(
    contacts: list[int], now: int, keep: int, written: int
) -> None:
    """Whoever it is, as long as it is known; of a deletion before that bound, `complete since` is at most the bound."""
    contacts = [min(one, now) for one in contacts]
    before = ageing.before_us(now, keep, contacts)
    assert before <= now - keep
    for contact in contacts:
        if written >= contact:
            assert Lacked.NEW is ageing.judge(Row(path("a")), version(file(written + 1, OURS)), before)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 100))
def test_a_node_is_absent_when_it_was_not_heard_of_for_longer(contact: int, now: int, forget: int) -> None:
    assert ageing.is_absent(contact, now, forget) is (now > contact + forget)


@pytest.mark.parametrize(
    ("before", "after", "wider"),
    [
        ((("a",), "", False), (("a", "b"), "", False), False),
        ((("a", "b"), "", False), (("a",), "", False), True),
        ((("a",), "", True), (("a",), "", False), False),
        ((("a",), "", False), (("a",), "", True), True),
        ((("a",), "/htdocs", False), (("a",), "/www", False), True),
        ((("b", "a"), "", False), (("a", "b"), "", False), False),
    ],
)
def test_what_was_never_replicated_may_be_of_any_age(
    before: tuple[tuple[str, ...], str, bool], after: tuple[tuple[str, ...], str, bool], wider: bool
) -> None:
    was, now = (ageing.scope_of(exclude, at, links_outside=outside) for exclude, at, outside in (before, after))
    assert wider is ageing.widens(was, now)
