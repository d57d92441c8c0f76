"""What a region does not know any more is held, and a person says what becomes of it."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core import found
from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row, Version, marked
from sidecar.core.frames import Compare, Compared, Entry, Frame, Mark, Outcome
from sidecar.core.paths import RelPath
from sidecar.engine.answering import shown, summand
from sidecar.engine.commands import Commands
from sidecar.engine.links import Links
from sidecar.engine.node import Node
from sidecar.engine.orders import Way
from sidecar.engine.outbound import sendable
from sidecar.engine.status import HoldKind
from sidecar.errors import NeedsHelp
from sidecar.link.keys import InstalledKeys
from tests.unit.engine.conftest import Starter, options

NAMES = (b"dir", b"dir/sub", b"dir/sub/deep", b"dir/page", b"page")


def held(start: Starter) -> Node:
    """A node of whose paths ams lacks all but `page`."""
    node = start()
    root = Path(node.root.path)
    (root / "dir" / "sub").mkdir(parents=True)
    for name in ("dir/sub/deep", "dir/page", "page"):
        (root / name).write_text(name)
    node.intake.absorb([RelPath(name) for name in NAMES])
    node.forgotten.mark("ams", [(RelPath(name), row_of(node, name).seq) for name in NAMES[:-1]])
    return node


def row_of(node: Node, name: bytes) -> Row:
    row = node.index.get(RelPath(name))
    assert row is not None
    return row


def decided(node: Node, way: Way | None, hold: str = "forgotten") -> None:
    links = Links(node, InstalledKeys("", "", "", ""), {})

    asyncio.run(Commands(node, links).approve(hold, way))


def test_it_is_held_and_sent_to_nobody_across_a_restart(start: Starter) -> None:
    node = held(start)
    assert 4 == node.holds.active[HoldKind.FORGOTTEN].paths
    assert "ams" in node.holds.active[HoldKind.FORGOTTEN].why
    assert [False] * 4 + [True] == [sendable(row_of(node, name)) for name in NAMES]
    node = start()
    assert 4 == node.holds.active[HoldKind.FORGOTTEN].paths
    assert "ams" in node.holds.active[HoldKind.FORGOTTEN].why


def test_what_changed_since_it_was_sent_is_not_held(start: Starter) -> None:
    node = start()
    (Path(node.root.path) / "page").write_text("x")
    node.intake.absorb([RelPath(b"page")])
    node.forgotten.mark("ams", [(RelPath(b"page"), 0), (RelPath(b"never"), 1)])
    assert {} == node.holds.active


def test_a_local_write_ends_it_for_its_path(start: Starter) -> None:
    node = held(start)
    (Path(node.root.path) / "dir" / "page").write_text("edited")
    node.intake.absorb([RelPath(b"dir/page")])
    assert sendable(row_of(node, b"dir/page"))
    node.holds.look_again()
    assert 3 == node.holds.active[HoldKind.FORGOTTEN].paths


def test_it_goes_to_the_trash_and_everybody_hears_of_it(start: Starter) -> None:
    node = held(start)
    decided(node, Way.TRASH)
    assert ["page"] == [path.name for path in Path(node.root.path).iterdir()]
    for name in NAMES[:-1]:
        best = versions.winner(row_of(node, name).version)
        assert best is not None and best.kind is Kind.TOMBSTONE and sendable(row_of(node, name))
    assert {b"dir/page", b"dir/sub/deep"} <= {one.path for one in node.index.youngest_trash(9)}
    assert {} == node.holds.active


def test_what_lives_in_a_directory_keeps_it(start: Starter) -> None:
    node = held(start)
    (Path(node.root.path) / "dir" / "new").write_text("new")
    decided(node, Way.TRASH)
    assert ["new"] == [path.name for path in (Path(node.root.path) / "dir").iterdir()]
    best = versions.winner(row_of(node, b"dir").version)
    assert best is not None and best.kind is Kind.DIR
    assert {} == node.holds.active


def test_it_is_sent_as_new(start: Starter) -> None:
    node = held(start)
    before = {name: row_of(node, name).version for name in NAMES}
    decided(node, Way.OFFER)
    for name in NAMES[:-1]:
        after = row_of(node, name)
        assert versions.newest(after.version) > versions.newest(before[name]) and sendable(after)
        assert not after.flags & Flag.FORGOTTEN
    assert before[b"page"] == row_of(node, b"page").version
    assert {} == node.holds.active


@pytest.mark.parametrize(("hold", "way"), [("forgotten", None), ("trash", Way.TRASH)])
def test_what_becomes_of_it_is_to_be_said_of_it_alone(start: Starter, hold: str, way: Way | None) -> None:
    node = held(start)
    node.holds.active[HoldKind.TRASH] = node.holds.active[HoldKind.FORGOTTEN]
    with pytest.raises(NeedsHelp, match=f"{hold}: .* way was said"):
        decided(node, way, hold)
    assert 4 == node.index.count_flagged(Flag.FORGOTTEN)


def test_there_is_nothing_to_reject(start: Starter) -> None:
    node = held(start)
    with pytest.raises(NeedsHelp, match="nothing to reject"):
        asyncio.run(Commands(node, Links(node, InstalledKeys("", "", "", ""), {})).reject("forgotten"))


def test_what_is_older_than_the_deletions_that_are_known_is_not_taken(start: Starter) -> None:
    node = start()
    node.index.set_complete_since(1000)
    lander = node.landing.lander("ams")

    def sent(name: bytes, counter: int, kind: Kind) -> Outcome:
        version = Version(((5, counter),), (Head(Dot(counter, 5), kind, mode=0o755 if kind is Kind.DIR else 0),))
        return lander.land(Entry(RelPath(name), version), None, {}).outcome

    assert Outcome.STALE is sent(b"old", 999, Kind.DIR)
    assert Outcome.KNOWN is sent(b"gone", 999, Kind.TOMBSTONE)
    assert Outcome.APPLIED is sent(b"new", 1000, Kind.DIR)
    assert ["new"] == [path.name for path in Path(node.root.path).iterdir()]
    assert [b"new"] == [row.path for row in node.index.beneath(RelPath(b""))]


def test_more_is_replicated_than_before_so_rows_of_any_age_may_be_new(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*patterns: str) -> int:
        monkeypatch.setattr("tests.unit.engine.conftest.options", lambda at: replace(options(at), exclude=patterns))
        return start().index.complete_since_us

    start().index.set_complete_since(1000)
    assert [1000, 1000, 0] == [without(), without("*~"), without()]


def test_what_another_node_has_dropped_is_taken_over_as_far_as_it_is_old_here_too(start: Starter) -> None:
    node = start()
    node.share_complete_since(1000)
    assert 1000 == node.index.complete_since_us
    node.share_complete_since(1 << 62)
    month_ago = node.me.now_us() - 30 * 86_400_000_000
    assert month_ago - 60_000_000 < node.index.complete_since_us <= month_ago


def test_it_is_not_taken_over_for_what_a_node_may_write_that_is_away(start: Starter) -> None:
    node, day_us = start(), 86_400_000_000
    node.index.meet("fra", "fra", 1, 1, 1, node.me.now_us() - 40 * day_us)
    node.share_complete_since(1 << 62)
    assert node.index.complete_since_us <= node.me.now_us() - 70 * day_us


def test_what_is_held_differs_for_whoever_verifies_and_for_whoever_may_have_deleted_it(start: Starter) -> None:
    node = held(start)
    row = node.index.flagged(Flag.FORGOTTEN)[0]
    assert (Mark.FORGOTTEN, 0) == (shown(row).mark, summand(row))
    node.me.found_done = True
    node.me.found_done = True

    async def ask() -> Frame:
        said: asyncio.Queue[Frame] = asyncio.Queue()
        answerer = node.answerer(list, said.put_nowait)
        running = asyncio.create_task(answerer.run())
        answerer.asked(Compare(b"", 0))
        answer = await said.get()
        running.cancel()
        return answer

    answer = asyncio.run(ask())
    assert isinstance(answer, Compared) and answer.apart


def test_what_is_asserted_or_written_over_is_held_no_more(start: Starter) -> None:
    row = held(start).index.flagged(Flag.FORGOTTEN)[0]
    assert not marked(found.rewritten(row, Dot(1 << 40, 9)).flags, Flag.FORGOTTEN)
