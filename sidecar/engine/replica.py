"""What absorb and land share: the rows, the root, the clock of dots, and who is told of a changed row."""

import dataclasses
from collections.abc import Callable, Iterable

from sidecar.core import observe
from sidecar.core import version as versions
from sidecar.core.entry import NO_FLAGS, Dot, Flag, Kind, Row, Stat, Version
from sidecar.core.paths import RelPath
from sidecar.core.ports import Disk
from sidecar.core.store import RowStore


@dataclasses.dataclass(frozen=True, slots=True)
class Changed:
    """A row whose version changed. `local`: by a write of this node; `content`: its bytes changed, not only mode or
    mtime; `came_from`: the path that it was renamed from here; `heard`: the version as the peer sent it."""

    row: Row
    local: bool
    content: bool = True
    came_from: RelPath | None = None
    heard: Version | None = None


class Dots:
    """Gives the dots of one run of this node: each once, each later than all that it covers.

    Args:
        run: the random number of this start.
        now_us: the clock, in µs since 1970.
    """

    def __init__(self, run: int, now_us: Callable[[], int]) -> None:
        self.run = run
        self.now_us = now_us
        self._last = 0

    def on(self, version: Version) -> Dot:
        """The dot of a write on top of `version`."""
        self._last = versions.next_counter(version, self._last, self.now_us())
        return Dot(self._last, self.run)

    def above(self, newest: int) -> Dot:
        """The dot of one write on top of many versions, whose highest counter is `newest`."""
        self._last = max(self._last, self.now_us(), newest) + 1
        return Dot(self._last, self.run)


@dataclasses.dataclass(slots=True)
class Replica:
    """One node's rows and root.

    `tell` hears of every changed row, after it is in the store; `grain_ns` see `observe.is_racy`.
    """

    store: RowStore
    disk: Disk
    dots: Dots
    tell: Callable[[Changed], None]
    grain_ns: int = observe.RACY_NS

    def row(self, path: RelPath) -> Row:
        """The row of `path`; a blank one for a path that nobody wrote yet."""
        return self.store.get(path) or Row(path)

    def racy(self, stat: Stat) -> Flag:
        """The mark of a row whose stat does not prove that the next change will show."""
        return Flag.RACY if observe.is_racy(stat, self.dots.now_us(), self.grain_ns) else NO_FLAGS

    def commit(
        self,
        row: Row,
        *,
        local: bool,
        content: bool = True,
        came_from: RelPath | None = None,
        heard: Version | None = None,
    ) -> Row:
        """Store a row whose version changed and tell of it; conflict bytes that no head needs any more are released."""
        before = versions.losers(self.row(row.path).version)
        stored = self.store.put(row)
        if before:
            needed = {h.hash for h in versions.losers(row.version)}
            freed = tuple(h.hash for h in before if h.kind is Kind.FILE and h.hash not in needed)
            if freed:
                self.disk.release(row.path, freed)
        self.tell(Changed(stored, local, content, came_from, heard))
        return stored


def on_disk(rows: Iterable[Row]) -> list[Row]:
    """Those rows that say something lies there."""
    return [row for row in rows if row.stat is not None]
