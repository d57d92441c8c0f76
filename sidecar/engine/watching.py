"""The loop from marked paths to rows: they are looked at in turns, each in the order that a visitor of a peer needs."""

import asyncio
import functools
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

from sidecar.core import move, observe, paths
from sidecar.core.entry import Kind, Stat
from sidecar.core.links import Resolver
from sidecar.core.observe import Change
from sidecar.core.paths import RelPath
from sidecar.core.ports import Unreachable
from sidecar.engine.absorb import Absorber
from sidecar.engine.dirty import LOOK_AGAIN, Dirty
from sidecar.engine.disk import RootDisk
from sidecar.engine.events import Events
from sidecar.engine.hashing import Hashing
from sidecar.engine.intake import Intake
from sidecar.engine.moving import Moving
from sidecar.engine.turn import SLICE, Turn, deepest_first, left_before, on_one_way
from sidecar.engine.unlisted import Unlisted
from sidecar.errors import NeedsHelp, Retryable
from sidecar.fs.faults import Denied, Special
from sidecar.fs.root import WebRoot
from sidecar.index.faults import IndexDamaged
from sidecar.index.store import Index

MANY: Final = 1000
"""Of more marked paths nobody asks whether a symlink is among them."""
LOOKS: Final = 4
"""So often symlinks are looked at in a turn, until no other one was made meanwhile."""


class Watching:
    """Marked paths come in, rows go out.

    Args:
        absorbed: called after every slice, when rows may have changed.
        resolver: knows where symlinks lead, as the index has them.
    """

    def __init__(
        self,
        root: WebRoot,
        index: Index,
        dirty: Dirty,
        events: Events,
        absorber: Absorber,
        intake: Intake,
        disk: RootDisk,
        unlisted: Unlisted,
        moving: Moving,
        *,
        absorbed: Callable[[], None],
        resolver: Resolver,
    ) -> None:
        self._root = root
        self._index = index
        self._dirty = dirty
        self._events = events
        self._absorber = absorber
        self._intake = intake
        self._hashing = Hashing(root, index, disk)
        self._unlisted = unlisted
        self._moving = moving
        self._absorbed = absorbed
        self._resolver = resolver
        self._begun = 0
        self._ended = 0
        self._turned = asyncio.Event()
        self._turning: frozenset[RelPath] = frozenset()

    @property
    def busy(self) -> bool:
        """Is something marked or being hashed? What somebody has open, or cannot be read, does not count."""
        under_way = self._begun > self._ended or self._moving.settling is not None
        return bool(self._dirty.paths or self._hashing.tasks or self._events.more or under_way)

    async def caught_up(self) -> None:
        """Returns when everything that was written before the call has been looked at.

        What somebody has open then, or cannot be read, is left out.
        """
        await self._events.read_all()
        hashing = tuple(self._hashing.tasks)
        await self.looked_at()
        if hashing or self._hashing.tasks:
            await asyncio.wait({*hashing, *self._hashing.tasks})
            await self.looked_at()

    async def run(self) -> None:
        """Absorb what is marked, for ever.

        Raises:
            EnvironmentFault: the web root was moved away: what happens to it from then on is nobody's deletion.
        """
        while True:
            await self._dirty.woken()
            self._dirty.wake_due()
            while self._dirty.paths or self._events.root_lost:
                if self._events.root_lost:
                    raise self._root.lost()
                await self._turn()

    async def _turn(self) -> None:
        """Take up all that is marked now; what the index, or the disk, does not let be looked at waits."""
        self._begun += 1
        try:
            async with self._moving.lock:
                await self._take_up()
        except IndexDamaged:
            raise
        except (Retryable, NeedsHelp) as error:
            self._intake.wait(self._turning, str(error))
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
        self._dirty.wake_due()  # symlinks that wait for a hash, before what waits for them
        marked = self._dirty.take()
        self._turning |= frozenset(marked)
        await self._moving.settle()
        await self._renamed(marked)
        await self._sort([*marked, *self._dirty.take()], turn)
        await self._absorb_slices(turn.there, await self._gone_before(turn))
        if turn.links or turn.gone:
            await self._links_and_gone(turn)

    async def _renamed(self, marked: list[RelPath]) -> None:
        """A directory that was renamed, and nothing else, needs no look at what is in it: peers do the same."""
        for old in self._moving.undone():
            self._events.mark_beneath(old)
        while self._events.moved:
            told = self._no_symlink(marked)
            for moved in tuple(self._events.moved):
                done = self._moving.was_done_here(*moved)
                if not done and not (told and await self._moving.announce(*moved)):
                    self._events.mark_beneath(moved.new)
                self._events.moved.remove(moved)

    def _no_symlink(self, marked: list[RelPath]) -> bool:
        """Does none wait to be taken up? One may have led to a directory until just before that was renamed."""
        waiting = [*marked, *self._dirty.paths, *self._dirty.later]
        return len(waiting) <= MANY and not self._hashing.tasks and not any(map(self._is_symlink, waiting))

    def _mark_renamed(self) -> None:
        moved, self._events.moved = self._events.moved, []
        for old, new in moved:
            if not self._moving.was_done_here(old, new):
                self._events.mark_beneath(new)

    async def _gone_before(self, turn: Turn) -> frozenset[RelPath]:
        """What has gone of which no symlink needs be taken up before: none has changed until after that was seen."""
        if turn.links or not turn.gone or not turn.there:
            return frozenset()
        gone, late = tuple(turn.gone), Turn()
        await self._events.read_all()
        self._mark_renamed()
        await self._sort(self._dirty.take(), late)
        turn.there += late.there
        turn.gone += late.gone
        turn.links |= late.links
        return left_before(gone, late.links)

    async def _links_and_gone(self, turn: Turn) -> None:
        """Look at symlinks, absorb all that was made before that look, then the symlinks as they were then, then what
        has gone. A symlink that has changed since comes again, and one that leads to what is being hashed when that has
        ended; for it wait what leads over it, and what has gone of where it led or whose place it took.
        """
        links, seen, late = list(turn.links), Turn(), Turn()
        for _ in range(LOOKS):
            seen, late = Turn(), Turn()
            await self._sort(links, seen)
            self._look_before(seen.links)
            await self._events.read_all()
            self._mark_renamed()
            await self._sort(self._dirty.take(), late)
            await self._absorb_slices(seen.there + late.there)
            turn.gone += seen.gone
            self._dirty.mark(*late.gone)
            if not late.links:
                break
            links = list({**seen.links, **late.links})
        leads = {path: self._leads(path, stat) for path, stat in seen.links.items()}
        is_hashed = on_one_way(self._hashing.tasks.values())
        is_held = on_one_way(path for path in leads if any(map(is_hashed, leads[path])))
        is_late = on_one_way(late.links)
        held = [path for path in leads if any(map(is_held, (path, *leads[path])))]
        late_too = [path for path in leads if any(map(is_late, (path, *leads[path]))) and path not in held]
        ready = {path: seen.links[path] for path in leads if path not in {*held, *late_too}}
        again = [*late.links, *late_too, *await self._absorb_links(ready)]
        waits, waits_longer = self._waits(again), self._waits(held)
        self._dirty.mark(*again, *filter(waits, turn.gone))
        for path in (*held, *filter(waits_longer, turn.gone)):
            self._dirty.put_off(path, 0.0)
        await self._absorb_gone(list(dict.fromkeys(turn.gone)))

    def _waits(self, links: Iterable[RelPath]) -> Callable[[RelPath], bool]:
        """Tells of what has gone whether it has to wait for these symlinks."""
        return on_one_way(over for link in links for over in (link, *self._resolver.leads_over(link)))

    def _leads(self, link: RelPath, stat: Stat) -> list[RelPath]:
        return self._resolver.targets(link, stat.target) or []

    def _look_before(self, links: Mapping[RelPath, Stat]) -> None:
        """What lies where these symlinks lead and was put off as open is looked at before them: its close may have been
        going on, for the kernel tells of one before it ends. Before a symlink that was made after it, it has ended.
        """
        leads = {over for link, stat in links.items() for over in self._leads(link, stat)}
        written = self._dirty.written if leads else ()
        self._dirty.mark(*(p for p in written if p in leads or any(above in leads for above in paths.ancestors(p))))

    async def _absorb_gone(self, paths: list[RelPath]) -> None:
        """What has gone; of a directory first what is still known in it, or all of that would go in one transaction."""
        for start in range(0, len(paths), SLICE):
            there = [path for path in paths[start : start + SLICE] if path not in self._dirty]
            self._index.look_ahead(there)  # of a long turn the rows that it began with are not remembered any more
            gone = self._still_gone(there)
            directories = [path for path in gone if self._was_directory(path)]
            for path in directories:
                async for beneath in deepest_first(self._index, path):
                    await self._absorb_slices(self._still_gone(beneath), left=True)
            await self._absorb_slices(gone, left=not directories)

    def _was_directory(self, path: RelPath) -> bool:
        row = self._index.get(path)
        shown = row.stat if row is not None else None
        return shown is not None and shown.kind is Kind.DIR and not self._absorber.withheld(path)

    async def _absorb_links(self, looked: dict[RelPath, Stat]) -> list[RelPath]:
        """Those that are as they were when they were looked at; returns the others."""
        paths, later = list(looked), list[RelPath]()
        for start in range(0, len(paths), SLICE):
            later += self._intake.absorb(paths[start : start + SLICE], looked)
            self._absorbed()
            await asyncio.sleep(0)
        return later

    async def _sort(self, marked: list[RelPath], turn: Turn) -> None:
        self._turning |= frozenset(marked)
        for start in range(0, len(marked), SLICE):
            part = marked[start : start + SLICE]
            self._index.look_ahead(part)
            with self._root.looking():
                for path in part:
                    self._sort_one(path, turn)
            if start + SLICE < len(marked):
                await asyncio.sleep(0)

    def _sort_one(self, path: RelPath, turn: Turn) -> None:
        try:
            stat = self._root.lstat(path)
        except (Denied, Special):
            turn.there.append(path)
            return
        self._unlisted.looked_at(path, stat)
        if stat is None and not self._says(path, None):
            turn.gone.append(path)
        elif stat is not None and stat.kind is Kind.SYMLINK:
            turn.links[path] = stat
        elif stat is None or (stat.kind is Kind.FILE and self._says(path, stat)):
            self._absorber.unchanged += 1  # mostly it was done here for a peer
        elif self._hashing.needed(path, stat):
            self._hash(path)
        else:
            turn.there.append(path)

    def _says(self, path: RelPath, stat: Stat | None) -> bool:
        """Does the row say so already?"""
        return path not in self._intake.troubles and observe.compare(self._index.get(path), stat) is Change.NONE

    def _hash(self, path: RelPath) -> None:
        task = self._hashing.start(path)
        if task is None:
            self._dirty.is_written(path)
        else:
            task.add_done_callback(functools.partial(self._hash_ended, path))

    def _hash_ended(self, path: RelPath, task: asyncio.Task[RelPath | None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Unreachable):
            self._intake.put_off(path, error)
        elif not task.cancelled() and error is None:
            if task.result() is None:
                self._dirty.put_off(path, LOOK_AGAIN)  # nothing waits for what is written all the time
            else:
                self._dirty.mark(path)
        self._dirty.wake()

    async def _absorb_slices(self, paths: list[RelPath], gone: Container[RelPath] = (), *, left: bool = False) -> None:
        for start in range(0, len(paths), SLICE):
            part = paths[start : start + SLICE]
            self._index.look_ahead(part)
            # others had their turn since: what had `left` before may be back
            self._intake.absorb(part, gone=gone, left=left and not start)
            self._absorbed()
            await asyncio.sleep(0)

    def _still_gone(self, looked: Iterable[RelPath]) -> list[RelPath]:
        """Those that have not come back since they were looked at; the others come again, in their order."""
        gone: list[RelPath] = []
        with self._root.looking():
            for path in looked:
                if self._is_back(path):
                    self._dirty.mark(path)
                else:
                    gone.append(path)
        return gone

    def _is_back(self, path: RelPath) -> bool:
        try:
            return self._root.lstat(path) is not None
        except (Denied, Special):
            return True

    async def in_order(self, paths: Iterable[RelPath]) -> None:
        """Returns when a peer's entries may land here: what landing would look at out of turn was looked at before."""
        names = list(paths)
        await self._moving.passed(names)
        self._events.read()
        early = [path for path in names if path in self._dirty.paths or path in self._turning]
        renamed = any(move.concerns(path, *moved) for moved in self._events.moved for path in names)
        if renamed or any(self._must_wait(path) for path in early):
            await self.looked_at()
            await self._moving.passed(names)

    def _must_wait(self, path: RelPath) -> bool:
        try:
            stat = self._root.lstat(path)
        except (Denied, Special):
            return False
        return stat is None or stat.kind is Kind.SYMLINK

    def _is_symlink(self, path: RelPath) -> bool:
        try:
            stat = self._root.lstat(path)
        except (Denied, Special):
            return False
        return stat is not None and stat.kind is Kind.SYMLINK

    async def looked_at(self) -> None:
        """Returns when everything that is marked now has been looked at, whatever is marked meanwhile."""
        enough = self._begun + 2  # what one turn meets too late goes into the next
        while self._ended < min(enough, self._begun + bool(self._dirty.paths)):
            await self._turned.wait()
