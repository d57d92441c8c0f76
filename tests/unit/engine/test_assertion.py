"""What lies in a real root is written over all heads, what is gone is deleted; what is not asked for stays."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row, marked
from sidecar.core.paths import ROOT, RelPath
from sidecar.engine.assertion import Assertion, Extent
from sidecar.engine.decisions import Decisions
from sidecar.engine.node import Node
from sidecar.engine.orders import Rejected
from sidecar.engine.status import HoldKind
from sidecar.errors import NeedsHelp
from tests.unit.core.facts import THEIRS, file
from tests.unit.engine.conftest import Starter

NAMES = ("dir", "dir/page", "dir/gone", "conflict", "found")


def made(node: Node) -> Assertion:
    """A tree, of which one path is gone and withheld, one has a losing head, and one is only found."""
    root = Path(node.root.path)
    (root / "dir").mkdir()
    for name in NAMES[1:]:
        (root / name).write_text(name)
    node.intake.absorb([RelPath(name.encode()) for name in NAMES])
    row = node.index.get(RelPath(b"conflict"))
    found = node.index.get(RelPath(b"found"))
    assert row is not None and found is not None
    with node.index.transaction():
        lost = Head(Dot(5, THEIRS), Kind.FILE, 1, 7, 0o644, file(5).hash)
        node.index.put(Row(row.path, versions.beside(row.version, lost), row.stat, row.hash))
        node.index.put(Row(found.path, stat=found.stat, hash=found.hash, flags=Flag.FOUND))
    (root / "dir/gone").unlink()
    node.holds.scan([RelPath(b"dir/gone")], 1000)
    return Assertion(node.index, node.replica, node.absorber, node.landing)


def kinds(node: Node) -> dict[str, list[Kind]]:
    return {row.path.decode(): [head.kind for head in row.version.heads] for row in node.index.beneath(ROOT)}


def test_all_that_is_here_wins_and_what_is_gone_goes(start: Starter) -> None:
    node = start()
    assertion, size = made(node), sum(len(name) for name in ("dir/page", "conflict", "found"))
    seen = {row.path: row.version for row in node.index.beneath(ROOT)}
    assert Extent(4, size, 1) == asyncio.run(assertion.extent(ROOT))
    assert Extent(2, len("dir/page"), 1) == asyncio.run(assertion.extent(RelPath(b"dir")))
    before = node.index.max_seq()
    asyncio.run(assertion.write(ROOT, lambda: True))
    assert {
        "dir": [Kind.DIR],
        "dir/page": [Kind.FILE],
        "dir/gone": [Kind.TOMBSTONE],
        "conflict": [Kind.FILE],
        "found": [Kind.FILE],
    } == kinds(node)
    rows = node.index.since(before, 100)
    written = [row.path for row in rows]
    assert {name.encode() for name in NAMES} == set(written)
    assert written.index(RelPath(b"dir")) < written.index(RelPath(b"dir/page"))
    assert b"dir/gone" == written[-1]
    for row in rows:
        assert row.version == versions.merge(row.version, seen[row.path]) != seen[row.path]
        assert (row.stat is None) == (row.path == b"dir/gone") and not marked(row.flags, Flag.FOUND)
    assert Extent(4, size, 0) == asyncio.run(assertion.extent(ROOT))


def test_what_is_elsewhere_is_left_alone(start: Starter) -> None:
    node = start()
    assertion = made(node)
    before = node.index.max_seq()
    asyncio.run(assertion.write(RelPath(b"dir/page"), lambda: True))
    assert [b"dir/page"] == [row.path for row in node.index.since(before, 100)]
    assert Extent() == asyncio.run(assertion.extent(RelPath(b"nowhere")))


@pytest.mark.parametrize("again", [False, True])
def test_what_is_given_up_while_it_is_done_stops_and_says_so(
    start: Starter, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    monkeypatch.setattr("sidecar.engine.assertion.AT_ONCE", 1)
    node = start()
    made(node)
    decisions = Decisions(node, SimpleNamespace(links={}))  # type: ignore[arg-type]
    hold = node.holds.claim(ROOT, 4, 1)
    before = node.index.max_seq()

    async def given_up() -> None:
        written = asyncio.Event()
        node.listeners.on_changed(lambda *_: written.set())
        approval = asyncio.ensure_future(decisions.approve("assert"))
        await written.wait()
        assert Rejected(0) == await decisions.reject("assert")
        if again:
            node.holds.claim(RelPath(b"dir"), 2, 1)
        with pytest.raises(NeedsHelp, match="given up"):
            await asyncio.wait_for(approval, 10)

    asyncio.run(given_up())
    assert before + 1 == node.index.max_seq()
    assert [Kind.FILE] == kinds(node)["dir/gone"]
    left = node.holds.active.get(HoldKind.ASSERT)
    assert left is not hold and bool(left) is again
