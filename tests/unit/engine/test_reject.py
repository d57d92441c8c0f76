"""What is missing is forgotten, so that the peers bring it back; what is there is not."""

import asyncio
from pathlib import Path

import pytest

from sidecar.core.paths import RelPath
from sidecar.engine.links import Links
from sidecar.engine.reject import forget_missing
from sidecar.link.keys import InstalledKeys
from tests.unit.engine.conftest import Starter


def test_what_is_missing_is_forgotten_and_offered_again(start: Starter) -> None:
    node = start()
    root = Path(node.root.path)
    (root / "dir").mkdir()
    names = ("dir", "dir/gone", "dir/there", "alone", "other")
    for name in names[1:]:
        (root / name).write_text(name)
    node.intake.absorb([RelPath(name.encode()) for name in names])
    node.index.meet("ams", "ams", 5, 6, 70, 1)
    node.index.set_cursor("ams", "ams", 5, 70)
    for name in ("dir/gone", "alone"):
        (root / name).unlink()
    gone = [RelPath(b"dir"), RelPath(b"alone"), RelPath(b"never")]
    node.index.set_complete_since(70)
    assert 2 == asyncio.run(forget_missing(node.index, node.replica, gone))
    assert {b"dir", b"dir/there", b"other"} == {row.path for row in node.index.beneath(RelPath(b""))}
    assert 0 == node.index.complete_since_us, "what comes back, however old, is not taken for deleted"
    peer = node.index.peer("ams", "ams")
    assert peer is not None and 0 == peer.cursor
    node.index.set_cursor("ams", "ams", 5, 70)
    assert 0 == asyncio.run(forget_missing(node.index, node.replica, [RelPath(b"dir")]))
    peer = node.index.peer("ams", "ams")
    assert peer is not None and 70 == peer.cursor


def test_what_a_peer_says_and_what_comes_back_meanwhile_is_not_forgotten(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start()
    root = Path(node.root.path)
    names = [RelPath(b"page-%d" % number) for number in range(6)]
    for name in names:
        (root / name.decode()).write_text("x")
    node.intake.absorb(names)
    node.index.meet("ams", "ams", 5, 6, 70, 1)
    for name in names:
        (root / name.decode()).unlink()
    monkeypatch.setattr("sidecar.engine.reject.AT_ONCE", 2)

    async def counted() -> int:
        forgotten = await forget_missing(node.index, node.replica, names)
        peer = node.index.peer("ams", "ams")
        assert peer is not None and 0 == peer.cursor
        return forgotten

    async def with_a_peer() -> int:
        async def says() -> None:
            while True:
                node.index.set_cursor("ams", "ams", 5, 70)
                if node.index.get(names[0]) is None:
                    (root / names[5].decode()).write_text("x")
                await asyncio.sleep(0)

        peer = asyncio.ensure_future(says())
        try:
            return await counted()
        finally:
            peer.cancel()

    assert 5 == asyncio.run(with_a_peer())
    assert node.index.get(names[5]) is not None


@pytest.mark.parametrize("paused", [False, True])
def test_no_channel_is_opened_while_it_is_forgotten(start: Starter, paused: bool) -> None:
    node = start()
    links = Links(node, InstalledKeys("", "", "", ""), {})
    if paused:
        links.pause()
    with links.quiet("rows are forgotten"):
        assert not node.going.is_set()
    assert node.going.is_set() is not paused
