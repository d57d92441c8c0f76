"""Bytes of a losing version that nobody has: when is it known, and what is written then?"""

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Head, Kind, Row, Version
from sidecar.core.paths import RelPath
from sidecar.engine.nowhere import FRESH, Nowhere
from sidecar.engine.replica import Changed, Dots, Replica
from tests.support.memory_disk import MemoryDisk
from tests.support.memory_store import MemoryStore

PATH = RelPath(b"page")
WINS, LOSES = (Head(Dot(counter, counter), Kind.FILE, hash=bytes([counter]) * 16) for counter in (2, 1))
BOTH = Version(((1, 1), (2, 2)), (LOSES, WINS))


class Fixture:
    """One row that lists a loser, two peers, a clock that a test sets."""

    def __init__(self) -> None:
        self.told: list[Changed] = []
        self.now = 1000.0
        self.disk = MemoryDisk(lambda: 1, 0)
        self.store = MemoryStore()
        self.store.put(Row(PATH, BOTH))
        replica = Replica(self.store, self.disk, Dots(7, lambda: 1), self.told.append)
        self.nowhere = Nowhere(replica, ("ams", "fra"), lambda: self.now)

    @property
    def heads(self) -> tuple[Head, ...]:
        row = self.store.get(PATH)
        assert row is not None
        return row.version.heads


@pytest.fixture
def here() -> Fixture:
    return Fixture()


def test_one_peer_without_them_is_not_all(here: Fixture) -> None:
    assert not here.nowhere.said("ams", PATH, LOSES.hash)
    assert (LOSES, WINS) == here.heads


def test_when_every_peer_has_said_so_the_head_is_listed_no_more_and_the_peers_hear_of_it(here: Fixture) -> None:
    here.nowhere.said("ams", PATH, LOSES.hash)
    assert here.nowhere.said("fra", PATH, LOSES.hash)
    assert (WINS,) == here.heads
    assert [(False, False)] == [(changed.local, changed.content) for changed in here.told]


def test_what_was_said_long_ago_does_not_count(here: Fixture) -> None:
    here.nowhere.said("ams", PATH, LOSES.hash)
    here.now += FRESH
    assert not here.nowhere.said("fra", PATH, LOSES.hash)
    here.now += FRESH / 2
    assert here.nowhere.said("ams", PATH, LOSES.hash)


def test_bytes_that_are_kept_here_are_not_nowhere(here: Fixture) -> None:
    here.disk.kept_rows.conflicts.add((PATH, LOSES.hash))
    here.nowhere.said("ams", PATH, LOSES.hash)
    assert not here.nowhere.said("fra", PATH, LOSES.hash)


def test_the_winner_stays_whatever_peers_say(here: Fixture) -> None:
    here.nowhere.said("ams", PATH, WINS.hash)
    assert not here.nowhere.said("fra", PATH, WINS.hash)


def test_a_head_that_somebody_dropped_does_not_come_back_by_a_merge() -> None:
    dropped = versions.without(BOTH, LOSES.hash)
    assert dropped == versions.merge(BOTH, dropped) == versions.merge(dropped, BOTH)
