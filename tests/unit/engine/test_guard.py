"""Of what a peer would take away, what is asked about, how often, and what becomes of it; over a root in memory."""

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import NEVER, Dot, Flag, Head, Kind, Row
from sidecar.core.frames import Outcome
from sidecar.core.paths import RelPath
from sidecar.engine.absorb import Absorber
from sidecar.engine.guard import Guard
from sidecar.engine.landed import Landed, NotDone
from sidecar.engine.replica import Dots, Replica
from tests.support.memory_disk import MemoryDisk, digest_of
from tests.support.memory_store import MemoryStore

DIR, PAGE = RelPath(b"dir"), RelPath(b"dir/page")
GONE = Head(Dot(9, 9), Kind.TOMBSTONE)
NEW = Head(Dot(9, 9), Kind.FILE, 3, 1, 0o644, digest_of(b"new"))


class Asked:
    """A node with `dir/page`, whose guard says `why`."""

    def __init__(self, why: str = "") -> None:
        disk = MemoryDisk(lambda: 1_764_000_000_000_000_000, 0)
        disk.files = {DIR: disk.make(Kind.DIR), PAGE: disk.make(Kind.FILE, b"old")}
        self.replica = Replica(MemoryStore(), disk, Dots(7, lambda: 1), lambda _: None, 0)
        Absorber(self.replica).absorb([DIR, PAGE])
        self.why = why
        self.held: list[bool] = []
        self.guard = Guard(self.replica, self.holds)

    def holds(self, size: int, held: bool) -> str:
        assert 3 == size
        self.held.append(held)
        return self.why

    def row(self, path: RelPath = PAGE) -> Row:
        return self.replica.row(path)

    def ask(self, head: Head, path: RelPath = PAGE) -> Landed | None:
        """What is answered in place of doing it, if anything is."""
        row = self.row(path)
        try:
            self.guard.ask(row, versions.write(row.version, head), head)
        except NotDone as instead:
            return instead.landed
        return None


@pytest.mark.parametrize("head", [GONE, NEW])
def test_what_may_not_go_is_held_and_asked_about_as_held_the_next_time(head: Head) -> None:
    asked = Asked("too much")
    assert Landed(Outcome.HELD, hint="too much") == asked.ask(head)
    assert asked.row().flags & Flag.HELD
    asked.why = ""
    assert asked.ask(head) is None
    assert [False, True] == asked.held


def test_mode_and_mtime_alone_do_not_ask() -> None:
    asked, old = Asked("too much"), digest_of(b"old")
    assert asked.ask(Head(Dot(9, 9), Kind.FILE, 3, 9, 0o600, old)) is None
    assert [] == asked.held


def test_what_a_rename_left_goes_unasked_once() -> None:
    asked = Asked("too much")
    asked.guard.gives(PAGE)
    assert "" == asked.guard.why_not(asked.row())
    assert asked.ask(GONE) is None
    assert [] == asked.held
    assert Landed(Outcome.HELD, hint="too much") == asked.ask(GONE)


def test_of_what_goes_together_each_is_held_by_the_one_answer() -> None:
    asked = Asked("too much")
    asked.guard.gives(PAGE)
    asked.guard.answered([PAGE], "another is held")
    assert Landed(Outcome.HELD, hint="another is held") == asked.ask(GONE)
    assert [] == asked.held


def test_a_directory_waits_with_what_is_held_in_it() -> None:
    asked = Asked("too much")
    assert asked.ask(GONE, DIR) is None
    asked.ask(GONE)
    refused = asked.ask(GONE, DIR)
    assert refused is not None and Outcome.HELD is refused.outcome
    assert [False] == asked.held


def test_what_was_rejected_is_written_over_the_peer() -> None:
    asked = Asked("too much")
    asked.guard.rejects = lambda: True
    assert Landed(Outcome.KNOWN) == asked.ask(GONE)
    best = versions.winner(asked.row().version)
    assert best is not None and (Kind.FILE, digest_of(b"old")) == (best.kind, best.hash)
    assert versions.covers(asked.row().version, GONE.dot)
    assert not asked.row().flags & Flag.HELD


def test_nothing_is_asked_where_nothing_lies() -> None:
    asked = Asked("too much")
    asked.guard.ask(Row(PAGE, NEVER), NEVER, GONE)
    assert "" == asked.guard.why_not(Row(PAGE, NEVER)) == asked.guard.why_not(asked.row(DIR))
    assert [] == asked.held
