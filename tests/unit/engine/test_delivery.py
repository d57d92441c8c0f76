"""Bytes that a peer wants are found wherever they lie: at the path, among the conflicts, in the trash, elsewhere."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import xxhash

from sidecar.core.entry import Kind, Row, Version
from sidecar.core.found import is_found
from sidecar.core.item import Item
from sidecar.core.paths import RelPath
from sidecar.core.ports import Keep
from sidecar.engine.delivery import Delivery
from sidecar.engine.node import Node
from tests.unit.engine.conftest import Starter

PAGE, OTHER = RelPath(b"page"), RelPath(b"dir/other")


class Spares:
    """Stands for the rsyncs that send from one tree."""

    def __init__(self, tree: str) -> None:
        self.tree = tree

    def take(self) -> "Spares":
        return self

    batch = "msk.x"


def delivery(node: Node) -> Delivery:
    made = Delivery(
        object(),  # type: ignore[arg-type]  # no link is opened
        object(),  # type: ignore[arg-type]
        node.root,
        node.index,
        node.absorber,
        node.disk,
        node.checksum,
        node.metrics,
        node="msk",
        count=1,
        compress=False,
        bwlimit=0,
        delays=lambda _: 0.0,
        changed=lambda: None,
    )
    stand_in: Any = Spares("html")
    made._small = stand_in
    made._kept = {tree: Spares(tree) for tree in ("conflicts", "trash", "outbox")}  # type: ignore[misc]
    return made


def wanted(node: Node, digest: bytes) -> tuple[str, bytes] | None:
    """The tree and the name that an answer is sent from."""
    load = asyncio.run(delivery(node)._wanted(Item(PAGE, 1, Kind.FILE, 1, b"", want=digest)))
    if load is None:
        return None
    assert digest == load.hash
    spare: Any = load.carrier._spare
    return spare.tree, load.name


def written(node: Node, path: RelPath, text: str) -> bytes:
    target = Path(node.root.path, path.decode())
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    node.intake.absorb([path])
    row = node.index.get(path)
    assert row is not None
    return row.hash


@pytest.mark.parametrize("where", ["the path", "conflicts", "trash", "elsewhere", "nowhere"])
def test_wanted_bytes_are_answered_from_where_they_lie(start: Starter, where: str) -> None:
    node = start()
    own, other = written(node, PAGE, "own"), written(node, OTHER, "elsewhere")
    expected: dict[str, tuple[bytes, tuple[str, bytes] | None]] = {
        "the path": (own, ("html", PAGE)),
        "conflicts": (b"c" * 16, ("conflicts", b"63" * 16)),
        "trash": (b"t" * 16, ("trash", b"1/2")),
        "elsewhere": (other, ("html", OTHER)),
        "nowhere": (b"?" * 16, None),
    }
    row = node.index.get(PAGE)
    assert row is not None and row.stat is not None
    node.index.add_conflict(PAGE, b"c" * 16, 1)
    node.index.add_trash(RelPath(b"1/2"), PAGE, row.stat, b"t" * 16, Keep.DELETED, "", 1)
    digest, answer = expected[where]
    assert answer == wanted(node, digest)


def test_bytes_that_are_nowhere_are_looked_for_among_new_rows_alone_when_they_are_asked_for_again(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer asks every ten seconds: all rows were read each time."""
    node = start()
    written(node, PAGE, "own")
    for number in range(3):
        written(node, RelPath(b"dir/%d" % number), str(number))
    looks: list[int] = []
    with_hash = node.index.with_hash

    def noted(digest: bytes, after: int) -> tuple[RelPath | None, int | None]:
        looks.append(after)
        return with_hash(digest, after)

    monkeypatch.setattr(node.index, "with_hash", noted)
    monkeypatch.setattr("sidecar.index.rows.HASH_PAGE", 1)
    carries, hashed = delivery(node), xxhash.xxh3_128_digest(b"later")

    def elsewhere() -> RelPath | None:
        looks.clear()
        return asyncio.run(carries._elsewhere(hashed))

    top = node.index.max_seq()
    assert (None, [0, *range(1, top + 1)]) == (elsewhere(), looks)
    assert (None, [top]) == (elsewhere(), looks)
    assert hashed == written(node, OTHER, "later")
    assert (OTHER, top) == (elsewhere(), looks[0])


def private(node: Node) -> tuple[bytes, Version] | None:
    """The hash and the version of a private copy, if one could be made."""
    made = delivery(node)
    load = asyncio.run(made._private(Item(PAGE, 1, Kind.FILE, 1), made._kept["outbox"]))
    return (load.hash, load.version) if load is not None else None


def spoilt(node: Node) -> Row:
    """The row of a page whose bytes went bad: it says the same of its stat as the disk."""
    written(node, PAGE, "own")
    Path(node.root.path, "page").write_text("rot")
    row = node.index.get(PAGE)
    assert row is not None
    return node.index.put_stat(Row(PAGE, row.version, node.root.lstat(PAGE), row.hash, row.seq))


def test_a_private_copy_of_what_went_bad_is_no_edit(start: Starter) -> None:
    node = start()
    before = spoilt(node)
    assert private(node) is None
    row = node.index.get(PAGE)
    assert row is not None
    assert (before.version, True, [PAGE]) == (row.version, is_found(row), node.checksum.still_damaged())
    assert private(node) is None
    assert [] == list(Path(node.root.state_path, "outbox").iterdir())


def test_a_private_copy_of_what_somebody_has_open_is_what_he_wrote(start: Starter) -> None:
    """What is mapped may change though its stat does not."""
    node = start()
    before = spoilt(node)
    node.disk._open_wait = 0.0
    with Path(node.root.path, "page").open("r+"):
        told = private(node)
    row = node.index.get(PAGE)
    assert row is not None and told == (row.hash, row.version)
    assert before.version != row.version and not is_found(row) and [] == node.checksum.still_damaged()
