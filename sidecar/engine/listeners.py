"""Who hears of what happens to the rows of a node: its metrics, its links, and whoever waits for one of them."""

from collections.abc import Callable

from sidecar.core.frames import Frame
from sidecar.core.paths import RelPath
from sidecar.engine.replica import Changed


class Listeners:
    """Each is called in the order in which they came, in the middle of what they hear of: none may wait."""

    def __init__(self) -> None:
        self.source = ""
        """the region on whose behalf rows change just now, "" for none"""
        self._changed: list[Callable[[Changed, str], None]] = []
        self._woken: list[Callable[[], None]] = []
        self._rows_lost: list[Callable[[], None]] = []
        self._cursors_forgotten: list[Callable[[], None]] = []
        self._tellers: list[Callable[[RelPath, RelPath], list[Callable[[Frame], None]]]] = []

    def on_changed(self, told: Callable[[Changed, str], None]) -> None:
        """`told` hears of every row whose version changed, with the region that sent it ("" for none)."""
        self._changed.append(told)

    def on_woken(self, told: Callable[[], None]) -> None:
        """`told` is called when rows may have changed: the links look for work."""
        self._woken.append(told)

    def on_rows_lost(self, told: Callable[[], None]) -> None:
        """`told` is called when rows were taken back that it was told of."""
        self._rows_lost.append(told)

    def on_cursors_forgotten(self, told: Callable[[], None]) -> None:
        """`told` is called when the peers are to offer everything anew: their links are cut."""
        self._cursors_forgotten.append(told)

    def on_renamed(self, tellers: Callable[[RelPath, RelPath], list[Callable[[Frame], None]]]) -> None:
        """`tellers` gives what says a frame to each peer that may hear that a directory was renamed from this to that,
        ahead of its rows."""
        self._tellers.append(tellers)

    def tellers(self, old: RelPath, new: RelPath) -> list[Callable[[Frame], None]]:
        """What says a frame to each such peer."""
        return [say for tellers in self._tellers for say in tellers(old, new)]

    def changed(self, changed: Changed) -> None:
        """A row changed, on behalf of `source`."""
        for told in self._changed:
            told(changed, self.source)

    def woken(self) -> None:
        """Rows may have changed."""
        for told in self._woken:
            told()

    def rows_lost(self) -> None:
        """A transaction failed: the links were told of rows that are no more, and begin anew from what is stored."""
        for told in self._rows_lost:
            told()

    def cursors_forgotten(self) -> None:
        """Everything is to be offered anew."""
        for told in self._cursors_forgotten:
            told()
