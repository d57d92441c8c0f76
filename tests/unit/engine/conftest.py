"""A node without links, over a volume of its own."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.engine.node import Node
from sidecar.engine.options import Options
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index
from sidecar.metrics import Metrics


def options(volume: Path) -> Options:
    return Options(
        region="msk",
        node="msk",
        image="0",
        root=str(volume / "html"),
        state=str(volume / ".sidecar"),
        inbox=str(volume / ".sidecar" / "inbox"),
        run_dir=str(volume),
        keys_dir=str(volume),
        peers=(),
        ssh_listen="",
        ssh_port=0,
        exclude=(),
        delay=0,
        large_file=1 << 20,
        open_wait=1,
        scan_interval=3600,
        poll_interval=10,
        compare_interval=60,
        trash_keep=3600,
        trash_max=1 << 30,
        tombstone_keep=30 * 86_400,
        forget_after=90 * 86_400,
        hold_deletions=25,
        hold_changes=10_000,
        links_outside=False,
        served_at="",
        found_now=True,
        found_join=False,
        spares=1,
        drain=1,
    )


Starter = Callable[[], Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """A node over one volume, as at a start; the one before is gone."""
    (tmp_path / "html").mkdir()
    numbers = itertools.count(1001)
    nodes: list[Node] = []

    def end() -> None:
        for node in nodes:
            node.watcher.close()
            node.index.close()
            node.root.close()
        nodes.clear()

    def starter() -> Node:
        end()
        made = options(tmp_path)
        root = WebRoot(made.root, made.state, made.inbox)
        index = Index.open(Path(made.state) / "index.db", lambda: next(numbers))
        index.start_run("boot", 1)
        nodes.append(Node(made, root, index, Metrics(), "3.5.0"))
        asyncio.run(nodes[0].recover())
        return nodes[0]

    yield starter
    end()
