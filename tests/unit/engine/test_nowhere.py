"""Bytes of a losing version that nobody has: when is it known, and what is written then?

msk is asked about; ams and fra are its peers, and, unless a test says otherwise, know each other and nobody else.
"""

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Head, Kind, Row, Version
from sidecar.core.frames import Gone, Lack
from sidecar.core.paths import RelPath
from sidecar.engine.nowhere import FRESH, REMEMBERED, Nowhere, Word
from sidecar.engine.replica import Changed, Dots, Replica
from tests.support.memory_disk import MemoryDisk
from tests.support.memory_store import MemoryStore

PATH = RelPath(b"page")
WINS, LOSES = (Head(Dot(counter, counter), Kind.FILE, hash=bytes([counter]) * 16) for counter in (2, 1))
BOTH = Version(((1, 1), (2, 2)), (LOSES, WINS))
AMS, FRA = Lack("ams", 0, ("msk", "fra")), Lack("fra", 0, ("msk", "ams"))


class Fixture:
    """One row that lists a loser, two peers, a clock that a test sets."""

    def __init__(self) -> None:
        self.told: list[Changed] = []
        self.now = 1000.0
        self.disk = MemoryDisk(lambda: 1, 0)
        self.store = MemoryStore()
        self.store.put(Row(PATH, BOTH))
        replica = Replica(self.store, self.disk, Dots(7, lambda: 1), self.told.append)
        self.nowhere = Nowhere(replica, "msk", ("ams", "fra"), lambda: self.now)

    def said(self, *lacks: Lack, digest: bytes = LOSES.hash) -> bool:
        return self.nowhere.said(Gone(PATH, digest, lacks))

    @property
    def heads(self) -> tuple[Head, ...]:
        row = self.store.get(PATH)
        assert row is not None
        return row.version.heads


@pytest.fixture
def here() -> Fixture:
    return Fixture()


def test_one_peer_without_them_is_not_all(here: Fixture) -> None:
    assert not here.said(AMS)
    assert (LOSES, WINS) == here.heads


def test_when_every_peer_has_said_so_the_head_is_listed_no_more_and_the_peers_hear_of_it(here: Fixture) -> None:
    here.said(AMS)
    assert here.said(FRA)
    assert (WINS,) == here.heads
    assert [(False, False)] == [(changed.local, changed.content) for changed in here.told]


def test_what_was_said_long_ago_does_not_count(here: Fixture) -> None:
    here.said(AMS)
    here.now += FRESH
    assert not here.said(FRA)
    here.now += FRESH / 2
    assert here.said(AMS)


def test_bytes_that_are_kept_here_are_not_nowhere(here: Fixture) -> None:
    here.disk.kept_rows.conflicts.add((PATH, LOSES.hash))
    here.said(AMS)
    assert not here.said(FRA)


def test_the_winner_stays_whatever_peers_say(here: Fixture) -> None:
    here.said(AMS, digest=WINS.hash)
    assert not here.said(FRA, digest=WINS.hash)


def test_a_head_that_somebody_dropped_does_not_come_back_by_a_merge() -> None:
    dropped = versions.without(BOTH, LOSES.hash)
    assert dropped == versions.merge(BOTH, dropped) == versions.merge(dropped, BOTH)


def hub_of(*leaves: str, age_ms: int = 0) -> Lack:
    return Lack("ams", age_ms, ("msk", *leaves))


def test_in_a_star_it_is_not_known_before_every_leaf_has_been_heard_of(here: Fixture) -> None:
    here.nowhere.peers = ("ams",)
    assert not here.said(hub_of("fra", "sin"))
    leaf = Lack("fra", 0, ("ams",))
    assert not here.said(hub_of("fra", "sin"), leaf)
    assert here.said(hub_of("fra", "sin"), Lack("sin", 0, ("ams",)))
    assert (WINS,) == here.heads


def test_a_word_that_was_passed_on_is_as_old_as_it_is(here: Fixture) -> None:
    here.nowhere.peers = ("ams",)
    old = Lack("fra", round((FRESH - 1) * 1000), ("ams",))
    assert not here.said(hub_of("fra", "sin"), old)
    here.now += 2
    assert not here.said(hub_of("fra", "sin"), Lack("sin", 0, ("ams",))), "nobody knows how it is at fra now"
    assert not here.said(hub_of("fra"), Lack("fra", round(FRESH * 1000), ("ams",)))
    assert here.said(hub_of("fra"), Lack("fra", 0, ("ams",)))


def test_who_is_asked_passes_on_who_lacks_them_and_how_long_ago_that_was(here: Fixture) -> None:
    assert Gone(PATH, LOSES.hash, (Lack("msk", 0, ("ams", "fra")),)) == here.nowhere.gone(PATH, LOSES.hash)
    here.said(AMS, Lack("msk", 0, ()))
    here.now += 5
    mine, theirs = here.nowhere.gone(PATH, LOSES.hash).lacks
    assert (Lack("msk", 0, ("ams", "fra")), Lack("ams", 5000, AMS.peers)) == (mine, theirs)
    here.now += FRESH
    assert (mine,) == here.nowhere.gone(PATH, LOSES.hash).lacks


def test_what_nobody_speaks_of_any_more_is_forgotten(here: Fixture) -> None:
    here.nowhere._said = {(PATH, b"%16d" % number): {"ams": Word(here.now, ())} for number in range(REMEMBERED)}
    here.now += FRESH
    here.said(AMS)
    assert [(PATH, LOSES.hash)] == list(here.nowhere._said)
