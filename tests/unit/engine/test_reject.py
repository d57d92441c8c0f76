"""What is missing is forgotten, so that the peers bring it back; what is there is not."""

import asyncio
from pathlib import Path

from sidecar.core.paths import RelPath
from sidecar.engine.reject import forget_missing
from tests.unit.engine.conftest import Starter


def test_what_is_missing_is_forgotten_and_offered_again(start: Starter) -> None:
    node = start()
    root = Path(node.root.path)
    (root / "dir").mkdir()
    names = ("dir", "dir/gone", "dir/there", "alone", "other")
    for name in names[1:]:
        (root / name).write_text(name)
    node.watching.absorb([RelPath(name.encode()) for name in names])
    node.index.meet("ams", "ams", 5, 6, 70, 1)
    node.index.set_cursor("ams", "ams", 5, 70)
    for name in ("dir/gone", "alone"):
        (root / name).unlink()
    gone = [RelPath(b"dir"), RelPath(b"alone"), RelPath(b"never")]
    assert 2 == asyncio.run(forget_missing(node.index, node.replica, gone))
    assert {b"dir", b"dir/there", b"other"} == {row.path for row in node.index.beneath(RelPath(b""))}
    peer = node.index.peer("ams", "ams")
    assert peer is not None and 0 == peer.cursor
    node.index.set_cursor("ams", "ams", 5, 70)
    assert 0 == asyncio.run(forget_missing(node.index, node.replica, [RelPath(b"dir")]))
    peer = node.index.peer("ams", "ams")
    assert peer is not None and 70 == peer.cursor
