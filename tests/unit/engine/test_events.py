"""What a watcher saw marks paths, or asks for a scan."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.paths import RelPath
from sidecar.engine.dirty import Dirty
from sidecar.engine.events import Events
from sidecar.fs.events import Reason
from sidecar.fs.root import WebRoot
from sidecar.fs.watch import Dirty as Named
from sidecar.fs.watch import Moved, Seen
from sidecar.metrics import Metrics
from tests.unit.engine.conftest import options

PAGE, DIR = RelPath(b"page"), RelPath(b"dir")
NOTHING = Seen([], [], overflow=False, root_lost=False, more=False)


class Watched:
    """A watcher that saw what it is told, one `read` after the other."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def read(self) -> Seen:
        return self.seen.pop(0) if self.seen else NOTHING


class Reader:
    """`Events` over such a watcher."""

    def __init__(self, root: WebRoot) -> None:
        self.watched = Watched()
        watcher: Any = self.watched
        self.dirty = Dirty()
        self.metrics = Metrics()
        self.scans: list[bool] = []
        self.arrived: list[RelPath] = []
        self.events = Events(
            root,
            watcher,
            self.dirty,
            self.metrics,
            excluded=lambda path, _is_dir: path.endswith(b".tmp"),
            scan_soon=lambda: self.scans.append(True),
            arrived=self.arrived.extend,
        )

    def read(self, **seen: Any) -> None:
        self.watched.seen.append(NOTHING._replace(**seen))
        self.events.read()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    (tmp_path / "html").mkdir()
    made = options(tmp_path)
    root = WebRoot(made.root, made.state, made.inbox)
    yield Reader(root)
    root.close()


def test_what_events_name_is_marked_but_what_is_being_written_is_put_off(reader: Reader) -> None:
    reader.read(dirty=[Named(DIR, Reason.CREATED), Named(PAGE, Reason.WRITING)])
    assert ([DIR], [PAGE]) == (reader.dirty.take(), list(reader.dirty.later))
    reader.read(dirty=[Named(PAGE, Reason.CLOSED)])
    assert ([PAGE], []) == (reader.dirty.take(), list(reader.dirty.later))


def test_of_a_directory_that_came_from_elsewhere_all_that_lies_in_it_is_marked(reader: Reader, tmp_path: Path) -> None:
    below = tmp_path / "html" / "dir" / "below"
    below.mkdir(parents=True)
    (below / "page").write_text("x")
    (below / "page.tmp").write_text("x")
    reader.read(dirty=[Named(DIR, Reason.MOVED_IN | Reason.TREE)], moved=(Moved(RelPath(b"was"), DIR),))
    assert [Moved(RelPath(b"was"), DIR)] == reader.events.moved
    reader.events.mark_beneath(DIR)
    assert [DIR, b"dir/below", b"dir/below/page"] == reader.dirty.take()


def test_lost_events_are_counted_and_ask_for_a_scan(reader: Reader) -> None:
    reader.read(overflow=True)
    assert ([True], 1) == (reader.scans, reader.events.overflows)
    assert 1 == reader.metrics.overflows._value.get()
    assert reader.events.overflowed_at


def test_a_root_that_was_lost_stays_lost_and_wakes_who_waits(reader: Reader) -> None:
    reader.read(root_lost=True)
    reader.read()
    assert reader.events.root_lost
    assert reader.dirty._wake.is_set()


def test_what_arrived_in_the_inbox_is_told(reader: Reader) -> None:
    reader.read(arrived=[PAGE])
    assert [PAGE] == reader.arrived


async def test_all_is_read_that_was_there(reader: Reader) -> None:
    more = [
        NOTHING._replace(dirty=[Named(RelPath(b"%d" % number), Reason.CLOSED)], more=number < 2) for number in range(3)
    ]
    reader.watched.seen = more
    await reader.events.read_all()
    assert [b"0", b"1", b"2"] == reader.dirty.take()
    assert not reader.events.more
