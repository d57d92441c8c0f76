"""Files hashed anew over a real web root: what is damaged, and what is no damage."""

import asyncio
import os
from pathlib import Path

import pytest

from sidecar.core.entry import Flag, Row
from sidecar.core.paths import RelPath
from sidecar.engine.checksum import Checking, Checksum
from sidecar.engine.node import Node
from tests.unit.engine.conftest import Starter


def write(node: Node, name: str, text: str) -> RelPath:
    path = RelPath(name.encode())
    Path(node.root.path, name).write_text(text)
    node.intake.absorb([path])
    return path


def flags(node: Node, path: RelPath, change: Flag) -> None:
    row = node.index.get(path)
    assert row is not None
    node.index.put_stat(Row(path, row.version, row.stat, row.hash, row.seq, change))


def spoil(node: Node, path: RelPath, text: str) -> None:
    """The bytes go bad: the row says the same of its stat as the disk."""
    Path(node.root.path, os.fsdecode(path)).write_text(text)
    row = node.index.get(path)
    assert row is not None
    node.index.put_stat(Row(path, row.version, node.root.lstat(path), row.hash, row.seq))


def checked(node: Node) -> Checking:
    return asyncio.run(node.checksum.run(lambda _: None))


def test_damage_is_marked_as_found_and_no_version_is_made_of_it(start: Starter) -> None:
    node = start()
    well, bad = write(node, "well", "first"), write(node, "bad", "first")
    for path in (well, bad):
        flags(node, path, Flag(0))
    spoil(node, bad, "rot!!")
    before = node.index.get(bad), node.index.max_seq()
    done = checked(node)
    assert (2, 2, [bad], [bad]) == (done.files, done.total, done.damaged, node.checksum.still_damaged())
    after = node.index.get(bad)
    assert before[0] is not None and after is not None
    assert (before[0].version, before[1]) == (after.version, node.index.max_seq())
    assert after.flags & Flag.FOUND and after.hash != before[0].hash
    node.intake.absorb([bad])
    assert after == node.index.get(bad)
    assert [] == checked(node).damaged
    assert [bad] == node.checksum.still_damaged()
    write(node, "bad", "written anew")
    assert [] == node.checksum.still_damaged()


def test_an_edit_that_nobody_has_looked_at_is_no_damage(start: Starter) -> None:
    node = start()
    for name in ("edited", "racy", "gone"):
        flags(node, write(node, name, "first"), Flag(0))
    Path(node.root.path, "edited").write_text("other")
    Path(node.root.path, "gone").unlink()
    spoil(node, RelPath(b"racy"), "other")
    flags(node, RelPath(b"racy"), Flag.RACY)
    done = checked(node)
    assert ([], 3) == (done.damaged, done.files)


def test_a_write_during_the_check_is_no_damage(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start()
    path = write(node, "page", "first")
    flags(node, path, Flag(0))
    spoil(node, path, "rot!!")
    real = Checksum.is_damaged

    def later(of: Checksum, row: Row, digest: bytes) -> bool:
        write(node, "page", "written meanwhile")
        return real(of, row, digest)

    monkeypatch.setattr(Checksum, "is_damaged", later)
    assert [] == checked(node).damaged
    row = node.index.get(path)
    assert row is not None and not row.flags & Flag.FOUND


def test_what_somebody_has_open_is_no_damage(start: Starter) -> None:
    """What is mapped may change though its stat does not."""
    node = start()
    path = write(node, "page", "first")
    spoil(node, path, "other")
    with Path(node.root.path, "page").open("r+"):
        assert [] == checked(node).damaged
    assert [path] == checked(node).damaged


def test_it_tells_how_far_it_is_and_lets_others_have_their_turn(start: Starter) -> None:
    node = start()
    for number in range(150):
        write(node, f"page-{number}", "x")
    turns, told = 0, list[int]()

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> Checking:
        busy = asyncio.ensure_future(others())
        try:
            return await node.checksum.run(lambda now: told.append(now.files))
        finally:
            busy.cancel()

    done = asyncio.run(both())
    assert (150, 150) == (done.files, told[-1])
    assert turns > 3
