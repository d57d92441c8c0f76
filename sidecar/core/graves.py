"""The deletions that are unsettled at one peer, by the directories above them: such a directory lives on there while
something in it does."""

import bisect
from collections import Counter

from sidecar.core import paths
from sidecar.core.paths import RelPath
from sidecar.core.shrink import shrink


class Graves:
    """Counts are kept for every directory: a tree of a hundred thousand deletions is not gone through for each."""

    def __init__(self) -> None:
        self._dead: set[RelPath] = set()
        self._sorted: list[RelPath] | None = None
        self._count: Counter[RelPath] = Counter()
        self._ever: set[RelPath] = set()
        self._busy: set[RelPath] = set()
        self._busy_count: Counter[RelPath] = Counter()

    def __contains__(self, path: RelPath) -> bool:
        return path in self._dead

    def add(self, path: RelPath) -> None:
        """The path is deleted, and the peer has not settled that."""
        if path not in self._dead:
            self._dead.add(path)
            self._sorted = None
            above = paths.ancestors(path)
            self._ever.update(above)
            self._count.update(above)

    def discard(self, path: RelPath) -> None:
        """It is settled, or the path lives again."""
        if path in self._dead:
            self.set_busy(path, busy=False)
            self._dead.discard(path)
            self._sorted = None
            _less(self._count, path)

    def shrink(self) -> None:
        """Give back the space of what is empty."""
        shrink(self._dead, self._count, self._busy, self._busy_count)

    def set_busy(self, path: RelPath, *, busy: bool) -> None:
        """Does somebody at the peer have it open? Of what is not deleted nothing is noted."""
        if busy and path in self._dead and path not in self._busy:
            self._busy.add(path)
            self._busy_count.update(paths.ancestors(path))
        elif not busy and path in self._busy:
            self._busy.discard(path)
            _less(self._busy_count, path)

    def were_in(self, directory: RelPath) -> bool:
        """Was one beneath it ever unsettled? Then the peer may have a directory there."""
        return directory in self._ever

    def beneath(self, directory: RelPath) -> list[RelPath]:
        """Those beneath it, sorted."""
        if not self._count[directory]:
            return []
        if self._sorted is None:
            self._sorted = sorted(self._dead)
        first = bisect.bisect_left(self._sorted, directory + b"/")
        return self._sorted[first : first + self._count[directory]]

    def count(self, directory: RelPath) -> int:
        """How many are beneath it."""
        return self._count[directory]

    def holds_busy(self, directory: RelPath) -> bool:
        """Is one beneath it busy?"""
        return self._busy_count[directory] > 0


def _less(counts: Counter[RelPath], path: RelPath) -> None:
    for above in paths.ancestors(path):
        counts[above] -= 1
        if not counts[above]:
            del counts[above]
