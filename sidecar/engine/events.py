"""What events say: the paths that they name are marked, and what they cannot say is left to a scan. Of a directory that
was renamed it is said, and marked by who takes it up."""

import asyncio
import time
from collections.abc import Callable

import structlog

from sidecar.core.paths import RelPath
from sidecar.engine.dirty import Dirty
from sidecar.fs import limits
from sidecar.fs.events import Reason
from sidecar.fs.root import WebRoot
from sidecar.fs.walk import walk
from sidecar.fs.watch import Moved, Watcher
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)


def too_many_events() -> str:
    """What to do about a queue of events that was full."""
    return f"{limits.queue().raised} and restart the sidecar"


class Events:
    """Read whenever there are some, and whenever somebody must know all that was done by then.

    Args:
        dirty: what they mark.
        scan_soon: called when events were lost.
        arrived: called with the inbox names under which files appeared.
    """

    def __init__(
        self,
        root: WebRoot,
        watcher: Watcher,
        dirty: Dirty,
        metrics: Metrics,
        *,
        excluded: Callable[[RelPath, bool], bool],
        scan_soon: Callable[[], None],
        arrived: Callable[[list[RelPath]], None],
    ) -> None:
        self._root = root
        self._watcher = watcher
        self._dirty = dirty
        self._metrics = metrics
        self._excluded = excluded
        self._scan_soon = scan_soon
        self._arrived = arrived
        self.moved: list[Moved] = []
        """directories that were renamed: what lies beneath them is yet to be marked"""
        self.more = False
        """was not all read that there was?"""
        self.root_lost = False
        self.overflows = 0
        self.overflowed_at = 0.0
        """when events were lost last (monotonic seconds)"""

    def start(self) -> None:
        """Read events from now on."""
        asyncio.get_running_loop().add_reader(self._watcher.fileno(), self.read)

    def stop(self) -> None:
        """Read no more events."""
        asyncio.get_running_loop().remove_reader(self._watcher.fileno())

    def read(self) -> None:
        """Read what there is now, or a part of it, and the rest soon."""
        seen = self._watcher.read()
        if seen.arrived:
            self._arrived(seen.arrived)
        for path, reason in seen.dirty:
            if reason == Reason.WRITING:
                # its close will say so; where it never comes, the look after that decides
                self._dirty.is_written(path)
                continue
            self._dirty.mark(path)
        self.moved += seen.moved
        if seen.overflow:
            self.overflows += 1
            self.overflowed_at = time.monotonic()
            self._metrics.overflows.inc()
            log.warning("events were lost, a scan looks for what they told", hint=too_many_events())
            self._scan_soon()
        self.root_lost = self.root_lost or seen.root_lost
        self.more = seen.more
        if seen.more:
            asyncio.get_running_loop().call_soon(self.read)
        self._dirty.wake()

    async def read_all(self) -> None:
        """Read the events of all that was done before the call."""
        self.read()
        while self.more:
            await asyncio.sleep(0)
            self.read()

    def mark_beneath(self, directory: RelPath) -> None:
        """Mark all that lies in a directory: it has another name than it had."""
        for part in walk(self._root, self._excluded, directory):
            self._dirty.mark(*(RelPath(part.path + b"/" + name) for name, _ in part.entries))
