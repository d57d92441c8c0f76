"""A damaged index ends the run, whoever met the damage first; what it listed is listed by the next one."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.core.entry import Kind
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import Keep
from sidecar.index.faults import IndexDamaged
from tests.unit.engine.conftest import Starter


def test_a_row_that_does_not_decode_ends_the_run_though_a_link_alone_read_it(start: Starter) -> None:
    node = start()
    Path(node.root.path, "page").write_text("mine")
    node.intake.absorb([RelPath(b"page")])
    with closing(sqlite3.connect(Path(node.options.state, "index.db"), isolation_level=None)) as other:
        other.execute("UPDATE rows SET version = x'c1'")
    with pytest.raises(IndexDamaged):
        node.index.since(0, 9)
    with pytest.raises(IndexDamaged):
        asyncio.run(asyncio.wait_for(node.housekeeping.index_is_sound(), 5))


def test_a_new_index_lists_what_lies_in_the_trash(start: Starter) -> None:
    node = start()
    trash = Path(node.options.state, "trash", "abc")
    trash.mkdir()
    (trash / "f4240").write_text("old")
    (trash / "no number").mkdir()
    for _ in range(2):
        asyncio.run(node.recover())
    found = node.index.oldest_trash(9)
    assert [(b"abc/f4240", ROOT, Kind.FILE, Keep.LOST, 1000)] == [
        (one.name, one.path, one.stat.kind, one.reason, one.at_us) for one in found if one.at_us
    ]
    assert 2 == len(found)


def test_bytes_of_conflicts_that_no_index_lists_any_more_go_to_the_trash(start: Starter) -> None:
    node = start()
    kept = Path(node.options.state, "conflicts", "0a" * 16)
    kept.write_text("loser")
    asyncio.run(node.recover())
    assert kept.exists(), "a new index may hear of it from a peer"
    node.index.found_done()
    asyncio.run(node.recover())
    assert not kept.exists()
    assert [b"\x0a" * 16] == [one.hash for one in node.index.oldest_trash(9)]
