"""What no event tells is found by looking."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.paths import RelPath
from sidecar.engine.node import Node
from sidecar.fs.watch import Watcher
from tests.unit.engine.test_watching import node, turn

__all__ = ["node"]

DIRECTORY, GONE = RelPath(b"d"), RelPath(b"d/gone")


def there(node: Node) -> None:
    Path(node.root.path, "d").mkdir()
    Path(node.root.path, "d", "gone").write_text("x")


def leaves(node: Node) -> None:
    Path(node.root.path, "d", "gone").unlink()
    node.watcher.read()  # there was no watch that told


@pytest.mark.parametrize("watched", ["at the look", "before it"])
async def test_what_left_a_directory_before_it_got_its_watch_is_found(
    node: Node, monkeypatch: pytest.MonkeyPatch, watched: str
) -> None:
    unwatched, missed = [DIRECTORY], list[RelPath]()
    monkeypatch.setattr(Watcher, "unwatched", property(lambda _: list(unwatched)))
    monkeypatch.setattr(node.polling, "_missed", missed.extend)
    there(node)
    await turn(node)
    await node.polling.look()
    assert [] == missed and node.index.get(GONE) is not None

    def retry(_: Watcher) -> Iterator[RelPath]:
        unwatched.clear()
        yield DIRECTORY

    leaves(node)
    if watched == "before it":
        unwatched.clear()
    monkeypatch.setattr(Watcher, "retry", retry)
    await node.polling.look()
    assert [GONE] == missed
