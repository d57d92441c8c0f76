"""What is offered to one peer goes in three rounds, each settled before the next."""

import enum
from collections import Counter
from typing import Final

from sidecar.core.entry import Kind
from sidecar.core.item import Item
from sidecar.core.paths import RelPath
from sidecar.core.shrink import shrink


class Round(enum.IntEnum):
    """The three rounds in which rows are offered."""

    CONTENT = 0
    SYMLINKS = 1
    TOMBSTONES = 2


ROUND_OF: Final = {
    Kind.DIR: Round.CONTENT,
    Kind.FILE: Round.CONTENT,
    Kind.SYMLINK: Round.SYMLINKS,
    Kind.TOMBSTONE: Round.TOMBSTONES,
}


class Rounds:
    """What waits to be offered, and in which round each path counts that was offered, until it is settled."""

    def __init__(self) -> None:
        self.waiting: dict[Round, dict[RelPath, Item]] = {turn: {} for turn in Round}
        """what waits to be offered"""
        self._of: dict[RelPath, Round] = {}
        self._count: Counter[Round] = Counter()
        self._deferred: set[RelPath] = set()

    def __contains__(self, path: RelPath) -> bool:
        return path in self._of

    @property
    def settled(self) -> bool:
        """Has all of it been settled?"""
        return not self._of

    def of(self, path: RelPath) -> Round | None:
        """The round in which `path` counts, if it does."""
        return self._of.get(path)

    def unsettled(self, turn: Round) -> bool:
        """Is something of this round unsettled?"""
        return self._count[turn] > 0

    def put(self, item: Item, turn: Round) -> None:
        """It waits to be offered, in this round."""
        self.waiting[turn][item.path] = item
        if turn is not ROUND_OF[item.kind]:
            self._deferred.add(item.path)
        self.mark(item.path, turn)

    def get(self, path: RelPath) -> Item | None:
        """What waits to be offered under this path."""
        turn = self._of.get(path)
        return self.waiting[turn].get(path) if turn is not None else None

    def take(self, path: RelPath) -> Item | None:
        """It waits no more, but counts until it is settled; None: nothing waited."""
        turn = self._of.get(path)
        return self.waiting[turn].pop(path, None) if turn is not None else None

    def defer(self, item: Item) -> None:
        """What waits goes in the last round, with the deletions beneath it, or after what goes so."""
        self.take(item.path)
        self.put(item, Round.TOMBSTONES)

    def deferred(self) -> list[RelPath]:
        """What waits for the last round though it is no deletion."""
        waiting = self.waiting[Round.TOMBSTONES]
        self._deferred = {
            path for path in self._deferred if path in waiting and waiting[path].kind is not Kind.TOMBSTONE
        }
        return sorted(self._deferred)

    def shrink(self) -> None:
        """Give back the space of what is empty."""
        shrink(*self.waiting.values(), self._of, self._deferred)

    def mark(self, path: RelPath, turn: Round) -> None:
        """From now on it counts in this round."""
        self.unmark(path)
        self._of[path] = turn
        self._count[turn] += 1

    def unmark(self, path: RelPath) -> None:
        """It counts in none: it is settled, or nothing waits for it."""
        turn = self._of.pop(path, None)
        if turn is not None:
            self._count[turn] -= 1
