"""The loop from events to rows: dirty paths are absorbed in slices, what is being written is looked at again."""

import asyncio
import functools
import time
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

import structlog

from sidecar.core import observe, paths
from sidecar.core.entry import Kind, Stat
from sidecar.core.links import Resolver
from sidecar.core.observe import Change
from sidecar.core.paths import ROOT, RelPath
from sidecar.core.ports import InUse, Unreachable
from sidecar.engine.absorb import Absorber, Trouble
from sidecar.engine.dirty import Dirty
from sidecar.engine.disk import RootDisk
from sidecar.engine.hashing import Hashing
from sidecar.engine.turn import SLICE, Turn, deepest_first, left_before, on_one_way
from sidecar.engine.unlisted import Unlisted
from sidecar.errors import NeedsHelp, Retryable
from sidecar.fs import limits
from sidecar.fs.events import Reason
from sidecar.fs.faults import Denied, Special
from sidecar.fs.root import WebRoot
from sidecar.fs.walk import walk
from sidecar.fs.watch import Watcher
from sidecar.index.faults import IndexDamaged
from sidecar.index.store import Index
from sidecar.metrics import Metrics

log = structlog.get_logger(__name__)

LOOK_AGAIN: Final = 0.25
"""Seconds until a file that was being written is looked at again, unless its close says so before."""
TROUBLE_AGAIN: Final = 10.0
"""The same for a path that cannot be read."""
INDEX_AGAIN: Final = 2.0
"""The same while the index cannot be written (a full disk)."""
LOOKS: Final = 4
"""So often symlinks are looked at in a turn, until no other one was made meanwhile."""


def too_many_events() -> str:
    """What to do about a queue of events that was full."""
    return f"{limits.queue().raised} and restart the sidecar"


class Watching:
    """Events and scans come in, rows go out.

    Args:
        scan_soon: called when a scan is due: events were lost, or a directory can be listed again.
        arrived: called with the inbox names under which files appeared.
        mend: called before paths are looked at: finishes what a failed transaction left.
        rows_lost: called when a transaction failed in which rows were told of.
        absorbed: called after every slice, when rows may have changed.
        resolver: knows where symlinks lead, as the index has them.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        watcher: Watcher,
        absorber: Absorber,
        disk: RootDisk,
        metrics: Metrics,
        *,
        excluded: Callable[[RelPath, bool], bool],
        scan_soon: Callable[[], None],
        arrived: Callable[[list[RelPath]], None],
        mend: Callable[[], None],
        rows_lost: Callable[[], None],
        absorbed: Callable[[], None],
        resolver: Resolver,
    ) -> None:
        self._root = root
        self._index = index
        self._watcher = watcher
        self._absorber = absorber
        self._hashing = Hashing(root, index, disk)
        self._metrics = metrics
        self._excluded = excluded
        self._scan_soon = scan_soon
        self._arrived = arrived
        self._mend = mend
        self._rows_lost = rows_lost
        self._absorbed = absorbed
        self._resolver = resolver
        self._wake = asyncio.Event()
        self._more = False
        self._begun = 0
        self._ended = 0
        self._turned = asyncio.Event()
        self._turning: frozenset[RelPath] = frozenset()
        self.unlisted = Unlisted(root, excluded, scan_soon)
        self.dirty = Dirty()
        self.troubles: dict[RelPath, Trouble] = {}
        self.root_lost = False
        self.overflows = 0
        self.overflowed_at = 0.0
        """when events were lost last (monotonic seconds)"""
        self.problem = ""
        """why nothing can be written to the index just now"""

    def start(self) -> None:
        """Read events from now on."""
        asyncio.get_running_loop().add_reader(self._watcher.fileno(), self._read)

    def stop(self) -> None:
        """Read no more events."""
        asyncio.get_running_loop().remove_reader(self._watcher.fileno())

    def mark(self, paths: list[RelPath]) -> None:
        """Look at these paths, though no event named them."""
        for path in paths:
            self.dirty.mark(path)
        self._wake.set()

    @property
    def busy(self) -> bool:
        """Is something marked or being hashed? What somebody has open, or cannot be read, does not count."""
        return bool(self.dirty.paths or self._hashing.tasks or self._more or self._begun > self._ended)

    async def caught_up(self) -> None:
        """Returns when everything that was written before the call has been looked at.

        What somebody has open then, or cannot be read, is left out.
        """
        await self._read_all()
        hashing = tuple(self._hashing.tasks)
        await self.looked_at()
        if hashing or self._hashing.tasks:
            await asyncio.wait({*hashing, *self._hashing.tasks})
            await self.looked_at()

    def unreadable(self) -> list[tuple[RelPath, Unreachable]]:
        """The directories that cannot be listed, and the paths that cannot be read, each with why."""
        troubles = [(path, trouble) for path, trouble in self.troubles.items() if isinstance(trouble, Unreachable)]
        return [*self.unlisted.paths.items(), *troubles]

    def unsent(self) -> dict[RelPath, Unreachable]:
        """Those of them of which a peer misses something: of a FIFO, socket or device none does, but for what the row
        says lay there."""
        return {
            path: trouble
            for path, trouble in self.unreadable()
            if not isinstance(trouble.__cause__, Special) or self._shown(path) is not None
        }

    def _read(self) -> None:
        seen = self._watcher.read()
        if seen.arrived:
            self._arrived(seen.arrived)
        for path, reason in seen.dirty:
            if reason == Reason.WRITING:
                # its close will say so; where it never comes, the look after that decides
                self.dirty.put_off(path, LOOK_AGAIN)
                continue
            self.dirty.mark(path)
            if int.__and__(reason, Reason.TREE):
                self._mark_beneath(path)
        if seen.overflow:
            self.overflows += 1
            self.overflowed_at = time.monotonic()
            self._metrics.overflows.inc()
            log.warning("events were lost, a scan looks for what they told", hint=too_many_events())
            self._scan_soon()
        self.root_lost = self.root_lost or seen.root_lost
        self._more = seen.more
        if seen.more:
            asyncio.get_running_loop().call_soon(self._read)
        self._wake.set()

    async def _read_all(self) -> None:
        """Read the events of all that was done before the call."""
        self._read()
        while self._more:
            await asyncio.sleep(0)
            self._read()

    def _mark_beneath(self, directory: RelPath) -> None:
        for part in walk(self._root, self._excluded, directory):
            for name, _ in part.entries:
                self.dirty.mark(RelPath(part.path + b"/" + name))

    async def run(self) -> None:
        """Absorb what is marked, for ever.

        Raises:
            EnvironmentFault: the web root was moved away: what happens to it from then on is nobody's deletion.
        """
        while True:
            await self._woken()
            self.dirty.wake_due()
            while self.dirty.paths or self.root_lost:
                if self.root_lost:
                    raise self._root.lost()
                await self._turn()

    async def _woken(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), LOOK_AGAIN if self.dirty.later else None)
        except TimeoutError:
            return
        self._wake.clear()

    async def _turn(self) -> None:
        """Take up all that is marked now; what the index, or the disk, does not let be looked at waits."""
        self._begun += 1
        try:
            await self._take_up()
        except IndexDamaged:
            raise
        except (Retryable, NeedsHelp) as error:
            self._wait(self._turning, str(error))
        self._turning = frozenset()
        self._ended = self._begun
        ended, self._turned = self._turned, asyncio.Event()
        ended.set()

    async def _take_up(self) -> None:
        """Absorb all that is marked now, in the order that a visitor of a peer needs: rows get their seq in it.

        A symlink was made after what it leads to, a deletion after the symlink that made it safe; their events come in
        one queue, but a look tells what is there now, not what was there at the event. So what is there comes first.
        """
        turn = Turn()
        await self._sort(self.dirty.take(), turn)
        await self._absorb_slices(turn.there, await self._gone_before(turn))
        if turn.links or turn.gone:
            await self._links_and_gone(turn)

    async def _gone_before(self, turn: Turn) -> frozenset[RelPath]:
        """What has gone of which no symlink needs be taken up before: none has changed until after that was seen."""
        if turn.links or not turn.gone or not turn.there:
            return frozenset()
        gone, late = tuple(turn.gone), Turn(hashing=turn.hashing)
        await self._read_all()
        await self._sort(self.dirty.take(), late)
        turn.there += late.there
        turn.gone += late.gone
        turn.links |= late.links
        return left_before(gone, late.links)

    async def _links_and_gone(self, turn: Turn) -> None:
        """Look at symlinks, absorb all that was made before that look, then the symlinks as they were then, then what
        has gone. A symlink that has changed since comes again; for it wait what leads over it, and what has gone of
        where it led or whose place it took.
        """
        links, seen, late = list(turn.links), Turn(), Turn()
        for _ in range(LOOKS):
            seen, late = Turn(hashing=turn.hashing), Turn(hashing=turn.hashing)
            await self._sort(links, seen)
            self._before(seen.links, turn)
            await self._read_all()
            await self._sort(self.dirty.take(), late)
            await self._absorb_slices(seen.there + late.there)
            await self._hashed(turn.hashing)
            turn.hashing.clear()
            turn.gone += seen.gone
            self.mark(late.gone)
            if not late.links:
                break
            links = list({**seen.links, **late.links})
        is_late = on_one_way(late.links)
        leads = {path: self._resolver.targets(path, stat.target) or [] for path, stat in seen.links.items()}
        ready = {path: stat for path, stat in seen.links.items() if not any(map(is_late, (path, *leads[path])))}
        later = [*late.links, *(seen.links.keys() - ready.keys()), *await self._absorb_links(ready)]
        waits = on_one_way(over for link in later for over in (link, *self._resolver.leads_over(link)))
        self.mark([*later, *(path for path in turn.gone if waits(path))])
        await self._absorb_gone(list(dict.fromkeys(turn.gone)))

    def _before(self, links: Mapping[RelPath, Stat], turn: Turn) -> None:
        """What lies where these symlinks lead and is not in the index yet comes before them: what is being hashed since
        an earlier turn, and what was put off as open. Its close may have been going on when that was seen, for the
        kernel tells of one before it ends; before a symlink that was made after it, it has ended.
        """
        leads = {over for link, stat in links.items() for over in self._resolver.targets(link, stat.target) or []}

        def is_led_to(path: RelPath) -> bool:
            return path in leads or any(above in leads for above in (ROOT, *paths.ancestors(path)))

        self.mark(list(filter(is_led_to, self.dirty.later)))
        going_on = self._hashing.tasks.items()
        turn.hashing += [task for task, path in going_on if is_led_to(path) and task not in turn.hashing]

    async def _absorb_gone(self, paths: list[RelPath]) -> None:
        """What has gone; of a directory first what is still known in it, or all of that would go in one transaction."""
        for start in range(0, len(paths), SLICE):
            there = [path for path in paths[start : start + SLICE] if path not in self.dirty.paths]
            gone = self._still_gone(there)
            for path in filter(self._was_directory, gone):
                async for beneath in deepest_first(self._index, path):
                    await self._absorb_slices(self._still_gone(beneath))
            await self._absorb_slices(gone)

    def _shown(self, path: RelPath) -> Stat | None:
        row = self._index.get(path)
        return row.stat if row is not None else None

    def _was_directory(self, path: RelPath) -> bool:
        shown = self._shown(path)
        return shown is not None and shown.kind is Kind.DIR and not self._absorber.withheld(path)

    async def _absorb_links(self, looked: dict[RelPath, Stat]) -> list[RelPath]:
        """Those that are as they were when they were looked at; returns the others."""
        paths, later = list(looked), list[RelPath]()
        for start in range(0, len(paths), SLICE):
            later += self.absorb(paths[start : start + SLICE], looked)
            self._absorbed()
            await asyncio.sleep(0)
        return later

    async def _sort(self, marked: list[RelPath], turn: Turn) -> None:
        self._turning |= frozenset(marked)
        for start in range(0, len(marked), SLICE):
            with self._root.looking():
                for path in marked[start : start + SLICE]:
                    self._sort_one(path, turn)
            if start + SLICE < len(marked):
                await asyncio.sleep(0)

    def _sort_one(self, path: RelPath, turn: Turn) -> None:
        try:
            stat = self._root.lstat(path)
        except (Denied, Special):
            turn.there.append(path)
            return
        self.unlisted.looked_at(path, stat)
        if stat is None and not self._says(path, None):
            turn.gone.append(path)
        elif stat is not None and stat.kind is Kind.SYMLINK:
            turn.links[path] = stat
        elif stat is None or (stat.kind is Kind.FILE and self._says(path, stat)):
            self._absorber.unchanged += 1  # mostly it was done here for a peer
        elif self._hashing.needed(path, stat):
            task = self._hashing.start(path)
            task.add_done_callback(functools.partial(self._hash_ended, path))
            turn.hashing.append(task)
        else:
            turn.there.append(path)

    def _says(self, path: RelPath, stat: Stat | None) -> bool:
        """Does the row say so already?"""
        return path not in self.troubles and observe.compare(self._index.get(path), stat) is Change.NONE

    def _hash_ended(self, path: RelPath, task: asyncio.Task[RelPath | None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Unreachable):
            self._put_off(path, error)
        elif not task.cancelled() and error is None:
            if task.result() is None:
                self.dirty.put_off(path, LOOK_AGAIN)
            else:
                self.mark([path])
        self._wake.set()

    async def _absorb_slices(self, paths: list[RelPath], gone: Container[RelPath] = ()) -> None:
        for start in range(0, len(paths), SLICE):
            self.absorb(paths[start : start + SLICE], gone=gone)
            self._absorbed()
            await asyncio.sleep(0)

    async def _hashed(self, hashing: list[asyncio.Task[RelPath | None]]) -> None:
        """What is large is absorbed before what may lead to it."""
        if hashing:
            done = await asyncio.gather(*hashing, return_exceptions=True)
            await self._absorb_slices([path for path in done if isinstance(path, bytes)])

    def _still_gone(self, looked: Iterable[RelPath]) -> list[RelPath]:
        """Those that have not come back since they were looked at; the others come again, in their order."""
        gone: list[RelPath] = []
        with self._root.looking():
            for path in looked:
                if self._is_back(path):
                    self.mark([path])
                else:
                    gone.append(path)
        return gone

    def _is_back(self, path: RelPath) -> bool:
        try:
            return self._root.lstat(path) is not None
        except (Denied, Special):
            return False

    async def in_order(self, paths: Iterable[RelPath]) -> None:
        """Returns when a peer's entries may land here: what landing would look at out of turn was looked at before."""
        self._read()
        early = [path for path in paths if path in self.dirty.paths or path in self._turning]
        if any(self._must_wait(path) for path in early):
            await self.looked_at()

    def _must_wait(self, path: RelPath) -> bool:
        try:
            stat = self._root.lstat(path)
        except (Denied, Special):
            return False
        return stat is None or stat.kind is Kind.SYMLINK

    async def looked_at(self) -> None:
        """Returns when everything that is marked now has been looked at, whatever is marked meanwhile."""
        enough = self._begun + 2  # what one turn meets too late goes into the next
        while self._ended < min(enough, self._begun + bool(self.dirty.paths)):
            await self._turned.wait()

    def absorb(
        self,
        paths: list[RelPath],
        looked: Mapping[RelPath, Stat] | None = None,
        gone: Container[RelPath] = (),
    ) -> list[RelPath]:
        """Look at these paths now, in one transaction; with `looked`, absorb what is as it was then. Returns the rest.

        `gone`: see `Absorber.absorb`.

        Raises:
            Retryable, NeedsHelp: nothing can be written in the first scan; later, the paths wait instead.
            IndexDamaged.
        """
        try:
            self._mend()
            with self._index.transaction(), self._root.looking():
                troubles = self._absorber.absorb(paths, looked, gone)
        except (Retryable, NeedsHelp) as error:
            if self._absorber.finding or isinstance(error, IndexDamaged):
                raise
            self._rows_lost()
            self._wait(paths, str(error))
            return paths
        self.problem = ""
        for path in paths:
            if path not in troubles:
                self.troubles.pop(path, None)
        for path, trouble in troubles.items():
            self._put_off(path, trouble)
        return list(troubles)

    def _wait(self, paths: Iterable[RelPath], problem: str) -> None:
        if not self.problem:
            log.error("changes cannot be taken up", problem=problem)
        self.problem = problem
        for path in paths:
            self.dirty.put_off(path, INDEX_AGAIN)

    def _put_off(self, path: RelPath, trouble: Trouble) -> None:
        if isinstance(trouble, InUse):
            self.dirty.put_off(path, LOOK_AGAIN)
            return
        if path not in self.troubles:
            log.warning("a path cannot be replicated", path=path, why=trouble.why, hint=trouble.hint)
        self.troubles[path] = trouble
        self.dirty.put_off(path, TROUBLE_AGAIN)
