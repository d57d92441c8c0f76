"""A node that waits for a join, over a real index: a decision holds for this index and this first contact alone."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.core.entry import NEVER, Flag, Kind, Row, Stat
from sidecar.core.found import Prefer
from sidecar.core.frames import Batch, Entry, Lane, Outcome
from sidecar.core.paths import RelPath
from sidecar.engine.joining import WHY, Joining
from sidecar.index.store import Index
from tests.unit.core.facts import THEIRS, file, version

Starter = Callable[..., Joining]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index.open(tmp_path / "index.db", itertools.count(7).__next__)
    made.meet("ams", "ams", 5, 6, 7, 1)
    made.set_cursor("ams", "ams", 5, 7)
    yield made
    made.close()


@pytest.fixture
def released() -> list[str]:
    return []


@pytest.fixture
def start(index: Index, tmp_path: Path, released: list[str]) -> Starter:
    def starter(*, asked: bool = True) -> Joining:
        return Joining(
            index,
            str(tmp_path / "join"),
            asked=asked,
            excluded=lambda path, _: path == b"not ours",
            now_us=lambda: 1_000,
            released=lambda: released.append("released"),
        )

    return starter


def offer(*names: str, lane: Lane = Lane.OFFER) -> Batch:
    entries = (Entry(RelPath(name.encode()), version(file(9, THEIRS, name, size=3))) for name in names)
    return Batch(lane, 1, "", 0, tuple(entries))


def test_what_was_decided_is_kept_until_the_first_contact_is_over(start: Starter, released: list[str]) -> None:
    first = start()
    assert first.waits
    first.decide(Prefer.LOCAL)
    assert (False, Prefer.LOCAL, ["released"]) == (first.waits, first.prefer, released)
    again = start()
    assert (False, Prefer.LOCAL) == (again.waits, again.prefer)
    again.done()
    assert (False, Prefer.NEWEST) == (again.waits, again.prefer)
    later = start()
    assert (False, Prefer.NEWEST) == (later.waits, later.prefer), "what it finds later is no first contact"


def test_a_decision_about_another_index_is_none(start: Starter, index: Index) -> None:
    start().decide(Prefer.LOCAL)
    index.renew_epoch(1)
    index.start_run("boot", 1)
    assert start().waits


def test_nobody_waits_who_was_not_asked_or_has_no_new_index(start: Starter, index: Index) -> None:
    assert not start(asked=False).waits
    index.found_done()
    assert not start().waits


async def test_what_a_peer_offers_is_put_off_and_compared(start: Starter, index: Index, released: list[str]) -> None:
    joining = start()
    peer = index.peer("ams", "ams")
    assert peer is not None and 0 == peer.cursor, "all of it is to be offered"
    with index.transaction():
        for name in ("mine", "both"):
            index.put(Row(RelPath(name.encode()), NEVER, Stat(Kind.FILE, 10, 1, 0o644, 1, 1), b"", 0, Flag.FOUND))
    joining.begun("ams")
    answers = joining.put_off("ams", offer("both", "theirs", "not ours"))
    assert ([Outcome.HELD] * 3, [WHY, "", ""]) == ([a.outcome for a in answers], [a.hint for a in answers])
    assert not joining.complete("ams")
    joining.compared_all("ams")
    assert joining.complete("ams")
    compared = await joining.compared("ams", "")
    assert (1, 10, 1, 3) == (compared.here, compared.here_bytes, compared.there, compared.there_bytes)
    assert (0, 1, (10, 3)) == (compared.later_here, compared.later_there, compared.later_there_bytes)
    joining.compare_anew()
    assert [] == released and joining.complete("ams")
    for again, lane in enumerate((Lane.SMALL, Lane.OFFER), 1):
        joining.put_off("ams", offer("both", lane=lane))
        joining.compare_anew()
        assert (["released"] * again, False) == (released, joining.complete("ams"))
        joining.compared_all("ams")
