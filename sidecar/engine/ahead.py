"""What a node's renames of whole directories (`engine.moving`) ask of the rest of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sidecar.core import paths
from sidecar.core.paths import RelPath
from sidecar.engine.dirty import Dirty
from sidecar.engine.events import Events
from sidecar.engine.holds import Holds
from sidecar.engine.joining import Joining
from sidecar.engine.landing import Landing
from sidecar.index.store import Index


class Ahead:
    """When something may be done ahead, and how its rows are written.

    Args:
        attribute: called with the region on whose behalf rows change, "" when that ends.
        scanned: is the first scan over?
    """

    def __init__(
        self,
        index: Index,
        landing: Landing,
        holds: Holds,
        joining: Joining,
        dirty: Dirty,
        events: Events,
        *,
        attribute: Callable[[str], None],
        scanned: Callable[[], bool],
    ) -> None:
        self._index = index
        self._landing = landing
        self._holds = holds
        self._joining = joining
        self._dirty = dirty
        self._events = events
        self._attribute = attribute
        self._scanned = scanned

    @contextmanager
    def commits(self, region: str) -> Iterator[None]:
        """All that is written inside is committed together, on behalf of `region`."""
        self._attribute(region)
        try:
            with self._landing.committed(), self._index.transaction():
                yield
        finally:
            self._attribute("")

    def allowed(self) -> bool:
        """Not while something is held, or found, or waits for a person or for space."""
        waits = self._index.finding or self._joining.waits or self._landing.unfinished
        return self._scanned() and not waits and not self._holds.active

    def disturbed(self, old: RelPath, new: RelPath) -> bool:
        """Has an event named something at or beneath one of the two that was not looked at yet?"""
        self._events.read()
        marked = (*self._dirty.paths, *self._dirty.later)
        return any(path == one or paths.beneath(path, one) for one in (old, new) for path in marked)
