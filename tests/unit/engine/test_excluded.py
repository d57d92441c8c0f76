"""What is excluded here, and lies here all the same: a peer that has it too names it, and it stays none of ours."""

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Head, Kind, Version
from sidecar.core.frames import Entry, How, Outcome
from sidecar.core.paths import RelPath
from sidecar.engine.node import Node
from tests.unit.engine.conftest import Starter, options

CACHE, INSIDE, PAGE = RelPath(b"cache"), RelPath(b"cache/page"), RelPath(b"page")


@pytest.fixture
def node(start: Starter, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr("tests.unit.engine.conftest.options", lambda at: replace(options(at), exclude=("cache/",)))
    made = start()
    Path(made.root.path, "cache").mkdir()
    Path(made.root.path, "cache/page").write_text("x")
    return made


@pytest.mark.parametrize(
    ("path", "kind", "how", "name", "outcome"),
    [
        (INSIDE, Kind.FILE, How.NONE, b"", Outcome.EXCLUDED),
        (INSIDE, Kind.TOMBSTONE, How.NONE, b"", Outcome.EXCLUDED),
        (CACHE, Kind.DIR, How.NONE, b"", Outcome.EXCLUDED),
        (CACHE, Kind.TOMBSTONE, How.NONE, b"", Outcome.APPLIED),
        (PAGE, Kind.FILE, How.FROM, INSIDE, Outcome.WANT),
    ],
)
def test_a_peer_that_names_what_is_excluded_here_has_it_neither_taken_up_nor_touched(
    node: Node, path: RelPath, kind: Kind, how: How, name: bytes, outcome: Outcome
) -> None:
    digest = b"h" * 16 if kind is Kind.FILE else b""
    head = Head(Dot(node.me.now_us(), 7), kind, len(digest), 1, 0 if kind is Kind.TOMBSTONE else 0o644, digest)
    entry = Entry(path, versions.write(Version(), head), how, name)
    with node.landing.slice("ams", (entry,), {}, {}):
        landed = node.landing.lander("ams").land(entry, None, {})
    assert outcome is landed.outcome
    assert "x" == Path(node.root.path, "cache/page").read_text()
    assert [] == [row.path for row in node.index.beneath(RelPath(b"")) if row.stat is not None]
