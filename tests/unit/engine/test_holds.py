"""Holds over a real index, with peers and a trash that are what a test says they are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import NO_FLAGS, Dot, Flag, Head, Kind, Row, Stat
from sidecar.core.frames import Entry, Outcome
from sidecar.core.paths import RelPath
from sidecar.engine.holds import Hold, Holds
from sidecar.engine.status import HoldKind
from sidecar.index.faults import IndexFull
from sidecar.index.store import Index
from tests.unit.engine.conftest import Starter


class Site:
    """A node of which only the index is real; `full`: the trash has no room for files of so many bytes or more."""

    def __init__(self, directory: Path) -> None:
        self.index = Index.open(directory / "index.db", lambda: 7)
        self.path = directory / "holds"
        self.released: list[HoldKind] = []
        self.full = 10**9

    def holds(self) -> Holds:
        """As at a start."""
        return Holds(
            self.index,
            str(self.path),
            regions=["ams", "nyc"],
            scan_limit=5,
            change_limit=5,
            trash_room=lambda size: size < self.full,
            released=self.released.append,
        )

    def fill(self, *paths: str, flags: Flag = NO_FLAGS) -> list[RelPath]:
        rows = [Row(RelPath(path.encode()), stat=Stat(Kind.FILE, 1, 1, 0o644, 1, 1), flags=flags) for path in paths]
        with self.index.transaction():
            for row in rows:
                self.index.put_stat(row)
        return [row.path for row in rows]


class Released:
    """Asks the peers anew, once it works."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.fails = True

    def __call__(self, kind: HoldKind) -> None:
        if self.fails:
            raise IndexFull("no space left")
        self.site.released.append(kind)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.index.close()


def ten(site: Site) -> list[RelPath]:
    return site.fill(*(f"page-{number}" for number in range(10)))


# -- a scan


def test_few_that_are_gone_are_deletions(site: Site) -> None:
    holds, there = site.holds(), ten(site)
    assert not holds.scan(there[:5], 5)
    assert {} == holds.active
    assert not holds.withheld(there[0])


def test_most_of_the_tree_gone_at_a_scan_is_held_and_nobody_hears_of_it(site: Site) -> None:
    holds, there = site.holds(), ten(site)
    assert holds.scan(there[:6], 6)
    assert 6 == holds.active[HoldKind.SCAN].paths
    assert "is the right one mounted?" in holds.active[HoldKind.SCAN].why
    assert [True, False] == [holds.withheld(path) for path in (there[0], there[9])]


@pytest.mark.parametrize(
    ("path", "withheld"),
    [
        (b"dir/gone", True),
        (b"dir/gone/beneath", True),
        (b"dir", True),
        (b"dir/other", False),
        (b"dir/gone-not", False),
        (b"other", False),
    ],
)
def test_what_is_withheld_is_what_is_gone_with_what_is_above_and_beneath(
    site: Site, path: bytes, withheld: bool
) -> None:
    holds = site.holds()
    ten(site)
    assert holds.scan([RelPath(b"dir/gone")], 9)
    assert withheld is holds.withheld(RelPath(path))


def test_a_scan_that_finds_half_of_it_back_still_holds_the_rest(site: Site) -> None:
    holds, there = site.holds(), ten(site)
    assert holds.scan(there, 10)
    assert holds.scan(there[9:], 1)
    assert 1 == holds.active[HoldKind.SCAN].paths
    assert not holds.withheld(there[0])


def test_a_scan_that_finds_nothing_gone_ends_it(site: Site) -> None:
    holds, there = site.holds(), ten(site)
    assert holds.scan(there, 10)
    assert not holds.scan([], 0)
    assert {} == holds.active


def test_an_approval_is_for_the_next_scan_and_for_that_alone(site: Site) -> None:
    holds, there = site.holds(), ten(site)
    assert holds.scan(there, 10)
    assert holds.approve(HoldKind.SCAN)
    assert [HoldKind.SCAN] == site.released
    assert not holds.withheld(there[0])
    assert not holds.scan(there, 10)
    assert holds.scan(there, 10)


def test_after_a_restart_all_that_is_gone_is_withheld_until_a_scan_says_what_that_is(site: Site) -> None:
    before, there = site.holds(), ten(site)
    before.scan(there, 10)
    holds = site.holds()
    assert [HoldKind.SCAN] == list(holds.active)
    assert holds.withheld(RelPath(b"anything"))
    assert holds.scan(there[9:], 1)
    assert not holds.withheld(RelPath(b"anything"))


# -- a peer's changes


def deleted(holds: Holds, region: str, count: int, size: int = 1) -> list[bool]:
    """Which of so many changes of `region` are held."""
    return [bool(holds.change(region, size)) for _ in range(count)]


def test_a_peer_that_changes_most_of_the_tree_is_held_and_others_are_not(site: Site) -> None:
    holds = site.holds()
    ten(site)
    assert [False] * 5 + [True] * 3 == deleted(holds, "ams", 8)
    assert 3 == holds.active[HoldKind.CHANGES].paths
    assert holds.active[HoldKind.CHANGES].why.endswith("from ams")
    assert [False] == deleted(holds, "nyc", 1)


def test_an_approval_is_for_all_that_the_peer_has_and_no_longer(site: Site) -> None:
    holds = site.holds()
    ten(site)
    deleted(holds, "ams", 8)
    assert holds.approve(HoldKind.CHANGES)
    assert [HoldKind.CHANGES] == site.released
    assert [False] * 20 == deleted(holds, "ams", 20)
    holds.offered("ams")
    assert [False] == deleted(holds, "ams", 1)
    assert [False] * 4 + [True] == deleted(holds, "ams", 5)


def test_what_was_approved_opens_no_second_hold_when_another_region_passes_it_on(site: Site) -> None:
    holds = site.holds()
    ten(site)
    deleted(holds, "ams", 8)
    assert holds.approve(HoldKind.CHANGES)
    assert [""] * 8 == [holds.change("nyc", 1, held=True) for _ in range(8)]
    assert {} == holds.active
    assert [False] * 5 + [True] == deleted(holds, "nyc", 6)
    assert holds.change("ams", 1, held=True) == ""
    holds.offered("ams")
    assert holds.change("ams", 1, held=True)


@pytest.mark.parametrize(
    ("kind", "decide"),
    [
        (HoldKind.CHANGES, Holds.approve),
        (HoldKind.TRASH, Holds.approve),
        (HoldKind.CHANGES, Holds.reject),
        (HoldKind.TRASH, lambda holds, _: holds.look_again()),
    ],
)
def test_what_cannot_be_asked_for_anew_stays_held(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: HoldKind, decide: Callable[[Holds, HoldKind], object]
) -> None:
    """The peers have settled it: nobody would have offered it again."""
    holds = site.holds()
    ten(site)
    site.full = 0 if kind is HoldKind.TRASH else site.full
    deleted(holds, "ams", 8)
    site.fill("held", flags=Flag.HELD)
    site.full = 10**9
    released = Released(site)
    monkeypatch.setattr(holds, "_released", released)
    with pytest.raises(IndexFull):
        decide(holds, kind)
    assert [kind] == list(holds.active) == list(site.holds().active)
    assert not holds.rejects("ams")
    assert [True] == deleted(holds, "ams", 1)
    released.fails = False
    decide(holds, kind)
    assert [kind] == site.released
    assert (decide is Holds.reject) == holds.rejects("ams")
    assert [decide is Holds.reject] == deleted(holds, "ams", 1)


def test_what_is_not_held_cannot_be_approved(site: Site) -> None:
    assert not any(site.holds().approve(kind) for kind in HoldKind)
    assert [] == site.released


def test_what_has_no_room_in_the_trash_is_held_with_what_comes_after_it(site: Site) -> None:
    holds, site.full = site.holds(), 100
    ten(site)
    assert [False] == deleted(holds, "ams", 1, size=99)
    assert [True, True] == deleted(holds, "ams", 1, size=100) + deleted(holds, "ams", 1, size=1)
    site.fill("held", flags=Flag.HELD)
    holds.look_again()
    assert [HoldKind.TRASH] == list(holds.active)
    site.full = 101
    holds.look_again()
    assert ({}, [HoldKind.TRASH]) == (holds.active, site.released)


@pytest.mark.parametrize("kind", [HoldKind.CHANGES, HoldKind.TRASH])
def test_a_hold_of_a_peer_survives_a_restart_as_what_it_was(site: Site, kind: HoldKind) -> None:
    before = site.holds()
    ten(site)
    if kind is HoldKind.TRASH:
        site.full = 0
    deleted(before, "ams", 8)
    site.fill("held", "held too", flags=Flag.HELD)
    holds = site.holds()
    assert [(kind, 2, "ams")] == [(hold.kind, hold.paths, hold.region) for hold in holds.active.values()]
    assert before.active[kind].since == holds.active[kind].since
    assert [True] == deleted(holds, "ams", 1)


def test_marked_rows_alone_are_a_hold_of_every_peer(site: Site) -> None:
    site.fill("held", flags=Flag.HELD)
    holds = site.holds()
    assert [True, True] == deleted(holds, "ams", 1) + deleted(holds, "nyc", 1)


@pytest.mark.parametrize("look", [Holds.look_again, lambda _: None])
def test_a_peer_that_takes_back_what_is_held_ends_it(site: Site, look: Callable[[Holds], None]) -> None:
    holds = site.holds()
    ten(site)
    deleted(holds, "ams", 8)
    look(holds)
    if not holds.active:
        assert [] == site.released
    assert {} == site.holds().active


def test_a_record_that_cannot_be_read_is_as_none(site: Site) -> None:
    site.path.write_bytes(b"{torn")
    assert {} == site.holds().active


def test_a_record_that_cannot_be_written_holds_all_the_same(site: Site) -> None:
    site.path = site.path.parent / "nowhere" / "holds"
    holds = site.holds()
    ten(site)
    assert deleted(holds, "ams", 6)[-1]


# -- what is rejected


def test_what_is_rejected_stays_so_until_the_region_has_offered_everything_again(site: Site) -> None:
    holds, _ = site.holds(), ten(site)
    for _ in range(6):
        holds.change("ams", 1)
    site.fill("held", flags=Flag.HELD)
    assert not holds.rejects("ams")
    assert holds.reject(HoldKind.CHANGES) and [HoldKind.CHANGES] == site.released
    assert not holds.reject(HoldKind.TRASH)
    again = site.holds()
    for one in (holds, again):
        assert (True, False) == (one.rejects("ams"), one.rejects("nyc"))
        assert "rejected" in one.active[HoldKind.CHANGES].why
    again.offered("nyc")
    again.offered("ams")
    assert again.rejects("ams"), "one is still held"
    site.fill("held")
    again.offered("ams")
    assert not again.rejects("ams") and not again.active and not site.holds().active


def test_what_was_counted_before_a_rejection_does_not_hold_the_next_change(site: Site) -> None:
    holds, _ = site.holds(), ten(site)
    for _ in range(6):
        holds.change("ams", 1)
    assert holds.reject(HoldKind.CHANGES)
    holds.offered("ams")
    assert not holds.active and "" == holds.change("ams", 1)


def test_what_a_scan_missed_is_asked_for_again(site: Site) -> None:
    holds, there = site.holds(), ten(site)
    assert frozenset() == holds.gone()
    assert holds.scan(there[:7], 7)
    assert frozenset(there[:7]) == holds.gone()
    assert site.holds().gone() is None, "the first scan of the next run has to tell"
    holds.brought_back()
    assert not holds.active and not holds.withheld(there[0]) and not site.holds().active


def test_what_is_to_win_everywhere_is_held_until_it_is_done_or_given_up(site: Site) -> None:
    holds = site.holds()
    holds.claim(RelPath(b"dir"), 3, 0)
    holds.claim(RelPath(b"dir/sub"), 5, 2)
    for one in (holds, site.holds()):
        (hold,) = one.active.values()
        assert (HoldKind.ASSERT, b"dir/sub", 5, 2) == (hold.kind, hold.beneath, hold.paths, hold.gone)
        assert "5 paths of dir/sub are to win in every region as they are here, 2 that are gone" in hold.why
    holds.claimed()
    assert not holds.active and not site.holds().active and [] == site.released


# -- several peers


def test_what_is_held_is_held_whoever_passes_it_on(start: Starter) -> None:
    node = start()
    page = RelPath(b"page")
    Path(node.root.path, "page").write_text("x")
    node.intake.absorb([page])
    row = node.replica.row(page)
    gone = Head(Dot(row.version.heads[0].dot.counter + 1, 9), Kind.TOMBSTONE)
    entry = Entry(page, versions.write(row.version, gone))

    def landed() -> Outcome:
        with node.landing.slice("nyc", (entry,), {}, {}):
            return node.landing.lander("nyc").land(entry, None, {}).outcome

    node.index.put_stat(Row(page, row.version, row.stat, row.hash, row.seq, Flag.HELD))
    node.holds.active[HoldKind.CHANGES] = Hold(HoldKind.CHANGES, 1, "ams", 1)
    assert (Outcome.HELD, b"x") == (landed(), node.root.read(page))
    assert node.holds.approve(HoldKind.CHANGES)
    assert Outcome.APPLIED is landed()
