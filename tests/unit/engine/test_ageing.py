"""Tombstones and nodes that are old, over a real index; what the links know is what a test says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.ageing import Agreement, NodeName
from sidecar.core.entry import Dot, Head, Kind, Row, Version
from sidecar.core.paths import ROOT, RelPath
from sidecar.engine import ageing
from sidecar.engine.ageing import Ageing
from sidecar.index.store import Index

DAY = 86_400_000_000
NOW = 1000 * DAY
AMS = NodeName("ams", "ams")


class Link:
    """What a link to ams knows."""

    def __init__(self) -> None:
        self.agreements: dict[NodeName, Agreement | None] = {}
        self.open: set[NodeName] = set()
        self.on_its_way: set[bytes] = set()

    def connected(self) -> set[NodeName]:
        return self.open

    def is_on_its_way(self, path: RelPath) -> bool:
        return path in self.on_its_way


class Site:
    """A node that keeps tombstones for 30 days, and forgets after 90."""

    def __init__(self, index: Index) -> None:
        self.index, self.link, self.now_us, self.seconds = index, Link(), NOW, 0.0
        self.ageing = Ageing(
            index,
            [self.link],
            ["ams"],
            keep=30 * 86_400,
            forget=90 * 86_400,
            now_us=lambda: self.now_us,
            monotonic=lambda: self.seconds,
        )

    def met(self, days_ago: int, node: str = "ams") -> None:
        self.index.meet("ams", node, 1, 2, 3, NOW - days_ago * DAY)

    def wrote(self, name: str, days_ago: int, kind: Kind = Kind.TOMBSTONE) -> None:
        head = Head(Dot(NOW - days_ago * DAY, 7), kind)
        self.index.put(Row(RelPath(name.encode()), Version(((7, head.dot.counter),), (head,))))

    def agrees(self) -> None:
        self.link.agreements[AMS] = Agreement(self.index.max_seq())

    def round(self) -> set[bytes]:
        """The paths that are left."""
        asyncio.run(self.ageing.round())
        return {row.path for row in self.index.beneath(ROOT)}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    index = Index.open(tmp_path / "index.db", lambda: 9)
    yield Site(index)
    index.close()


def test_what_is_old_and_known_everywhere_is_dropped_and_since_when_is_remembered(site: Site) -> None:
    site.met(0)
    for name, days in (("older", 50), ("old", 31), ("young", 29)):
        site.wrote(name, days)
    site.wrote("missing", 40, Kind.FILE)
    site.agrees()
    assert {b"young", b"missing"} == site.round()
    assert NOW - 31 * DAY + 1 == site.index.complete_since_us


@pytest.mark.parametrize(
    "why", ["not spoken to", "no agreement", "written since", "left out", "on its way", "never met"]
)
def test_nothing_goes_that_somebody_may_not_have(site: Site, why: str) -> None:
    site.met(0)
    site.wrote("old", 31)
    site.agrees()
    match why:
        case "not spoken to":
            site.met(0, "ams-1")
        case "no agreement":
            site.link.agreements[AMS] = None
        case "written since":
            site.wrote("old", 31)
        case "left out":
            site.link.agreements[AMS] = Agreement(site.index.max_seq(), {RelPath(b"old")})
        case "on its way":
            site.link.on_its_way.add(b"old")
        case _:
            site.index._db.run("DELETE FROM peers")
            site.link.agreements.clear()
    assert {b"old"} == site.round()
    assert 0 == site.index.complete_since_us


def test_the_age_is_counted_from_the_longest_absence(site: Site) -> None:
    site.met(10)
    for name, days in (("old", 41), ("younger", 39)):
        site.wrote(name, days)
    site.agrees()
    assert {b"younger"} == site.round()


def test_who_is_away_for_too_long_is_forgotten_and_not_waited_for(site: Site) -> None:
    site.met(91)
    site.wrote("old", 31)
    site.link.agreements[AMS] = None
    assert {b"old"} == site.round(), "a node that was down hears first who is there"
    site.seconds = 3601.0
    site.link.open.add(AMS)
    assert {b"old"} == site.round(), "who is connected is there, whatever the clock says"
    site.link.open.clear()
    assert set() == site.round()
    assert ([], [("ams", "ams")]) == (site.index.peers(), [(one.region, one.node) for one in site.index.forgotten()])
    assert {} == site.link.agreements


def test_many_go_in_slices_past_those_that_stay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ageing, "AT_ONCE", 10)
    site.met(0)
    for number in range(95):
        site.wrote(f"{number}", 31 + number % 3)
    site.link.on_its_way = {b"%d" % number for number in range(30)}
    site.agrees()
    assert site.link.on_its_way == site.round()
