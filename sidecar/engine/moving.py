"""A directory that was renamed, as a whole: peers hear of it ahead of its rows, and do the same by one rename(2).

Nothing but time depends on it. Whoever heard of the rename has the rows of it that who told it has, made by the same
function (`core.move`); the batches that say it path by path come as ever, and find it known. So what was told must
follow, through a kill as well: it is stored before.

May it be done at all? `engine.judging` says. One rename is under way at a time. What concerns its paths waits for it:
turns of the watch by `lock`, batches of peers in `passed`.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

import msgspec
import structlog

from sidecar.core import move as moves
from sidecar.core import paths
from sidecar.core import version as versions
from sidecar.core.entry import NEVER, Head, Kind, Row, Version
from sidecar.core.frames import Entry, Frame, Renamed
from sidecar.core.move import Move, Step
from sidecar.core.paths import RelPath
from sidecar.core.ports import DiskFull, Surprise, Unreachable
from sidecar.core.store import MoveStore
from sidecar.engine.judging import SLICE, Judge
from sidecar.engine.replica import Replica
from sidecar.errors import NeedsHelp, Retryable

log = structlog.get_logger(__name__)

HEARD: Final = 8
"""Renames that are waited for at a time: what a peer says beyond that is not done ahead."""

Teller: TypeAlias = Callable[[Frame], None]


@dataclasses.dataclass(slots=True)
class Settling:
    """The rows of `move` that are yet to be written: `steps` from `at` on."""

    move: Move
    steps: Sequence[Step]
    at: int = 0


class Moving:
    """The renames of one node.

    Args:
        store: the rows of `replica`, and what is under way.
        judge: of the same rows.
        commits: all that is written inside is committed together, on behalf of a region ("": of none).
        allowed: may anything be done ahead at all? Not while something is held or found.
        tellers: what says a frame to each peer that may hear that this became that.
        look_again: called with the paths that were renamed on behalf of a peer.
        size: rows in one go.
    """

    def __init__(
        self,
        replica: Replica,
        store: MoveStore,
        judge: Judge,
        *,
        commits: Callable[[str], AbstractContextManager[None]],
        allowed: Callable[[], bool],
        tellers: Callable[[RelPath, RelPath], list[Teller]],
        look_again: Callable[[list[RelPath]], None],
        size: int = SLICE,
    ) -> None:
        self._replica = replica
        self._store = store
        self._judge = judge
        self._commits = commits
        self._allowed = allowed
        self._tellers = tellers
        self._look_again = look_again
        self._size = size
        self.lock: Final = asyncio.Lock()
        self.settling: Settling | None = None
        self._pairs: list[tuple[RelPath, RelPath]] = []
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done_here: set[tuple[RelPath, RelPath]] = set()
        """renames that were done here for a peer, of which the watch is yet to tell"""

    # -- who waits

    def changed(self, row: Row) -> None:
        """A row changed, whoever wrote it."""
        if self._pairs or self.settling is not None:
            self._judge.spoiled = self._judge.spoiled or self._concerned(row.path)

    def _concerned(self, path: RelPath) -> bool:
        under_way = [(self.settling.move.old, self.settling.move.new)] if self.settling is not None else []
        return any(moves.concerns(path, *pair) for pair in (*self._pairs, *under_way))

    async def passed(self, concerned: Iterable[RelPath]) -> None:
        """Returns when no rename is under way that has to do with these paths."""
        names = list(concerned)
        while (self._pairs or self.settling is not None) and any(map(self._concerned, names)):
            await self._over.wait()

    def was_done_here(self, old: RelPath, new: RelPath) -> bool:
        """Does the watch tell of what was done here for a peer? It may never have: who renamed the directory once more
        before it looked made one rename of two, and another one from `old` to `new` may come any time later."""
        known = (old, new) in self._done_here
        self._done_here.discard((old, new))
        return known and self._is_known(new)

    def undone(self) -> list[RelPath]:
        """Where directories lay that were renamed here for a peer, and are not under their new names any more. Who put
        one back before the watch looked made no rename at all for it, and nothing tells of what is in it."""
        left = [pair for pair in self._done_here if not self._is_known(pair[1])]
        self._done_here.difference_update(left)
        return [old for old, _ in left]

    def _is_known(self, directory: RelPath) -> bool:
        row = self._store.get(directory)
        known = row.stat if row is not None else None
        try:
            there = self._replica.disk.look(directory)
        except Unreachable:
            return False
        return known is not None and there is not None and (known.ino, known.btime_ns) == (there.ino, there.btime_ns)

    def _ended(self, old: RelPath, new: RelPath) -> None:
        self._pairs.remove((old, new))
        self._wake()

    def _wake(self) -> None:
        self._over, over = asyncio.Event(), self._over
        over.set()

    # -- here, by a local writer

    async def announce(self, old: RelPath, new: RelPath) -> bool:
        """A local writer renamed a directory: is it told, and are its rows written? False: nothing was done. To be
        called with the `lock`.

        Raises:
            Retryable, NeedsHelp: it was told, and rows could not be written: `settle` goes on with them.
        """
        if not self._allowed() or not self._tellers(old, new):
            return False
        self._pairs.append((old, new))
        try:
            tree = await self._judge.judged(old, new, None)
            tell = self._tellers(old, new)
            if tree is None or not tell or not self._judge.still(tree, old, new, moved=True):
                return False
            top = tree.live[0].stat
            assert top is not None, "it is live"
            move = Move(old, new, self._replica.dots.above(tree.newest), top.ino, top.btime_ns, "", sure=True)
            with self._commits(""):
                self._store.keep_move(move)
            self.settling = Settling(move, moves.steps(tree.live))
            for say in tell:
                say(Renamed(old, new, move.dot, len(tree.live), tree.sum))
            await self.settle()
        finally:
            self._ended(old, new)
        return True

    # -- there, by a peer

    def heard(self, region: str, frame: Renamed, refused: Callable[[Entry], object]) -> None:
        """A peer says that a directory was renamed there: what it sends from now on about these paths waits until that
        is done here, or is not to be. `refused`: may nothing be done with an entry of it?"""
        pair = (paths.checked(frame.old), paths.checked(frame.new))
        if len(self._pairs) >= HEARD or pair in self._pairs:
            return
        self._pairs.append(pair)
        task = asyncio.ensure_future(self._take_alone(region, frame, refused))
        self._tasks.add(task)
        task.add_done_callback(self._taken)

    async def _take_alone(self, region: str, frame: Renamed, refused: Callable[[Entry], object]) -> None:
        try:
            async with self.lock:
                await self.take(region, frame, refused)
        finally:
            self._ended(frame.old, frame.new)

    def _taken(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a directory could not be renamed ahead", error=repr(task.exception()))

    async def take(self, region: str, frame: Renamed, refused: Callable[[Entry], object]) -> bool:
        """Do the same here, if it is the same directory here; was it done? To be called with the `lock`."""
        try:
            await self.settle()
            move = await self._do(region, frame, refused) if self._allowed() else None
            await self.settle()
        except (Retryable, NeedsHelp) as error:
            log.warning("a directory could not be renamed ahead", path=frame.new, peer=region, why=str(error))
            if self.settling is not None:
                self._look_again([self.settling.move.new])  # who takes that up goes on with the rows
            return False
        if move is None:
            return False
        if len(self._done_here) >= HEARD:
            self._done_here.clear()
        self._done_here.add((move.old, move.new))
        return True

    async def _do(self, region: str, frame: Renamed, refused: Callable[[Entry], object]) -> Move | None:
        old, new, dots = frame.old, frame.new, self._replica.dots
        tree = await self._judge.judged(old, new, frame)
        if tree is None or not tree.newest < frame.dot.counter <= dots.now_us() + versions.DAY_US:
            return None
        top = tree.live[0].stat
        assert top is not None, "it is live"
        move = Move(old, new, frame.dot, top.ino, top.btime_ns, region, sure=False)
        if await self._is_refused(move, tree.live, refused) or not self._judge.still(tree, old, new, moved=False):
            return None
        with self._commits(""):
            self._store.keep_move(move)
        try:
            self._replica.disk.rename(old, new, top)
        except (Surprise, Unreachable, DiskFull):
            with self._commits(""):
                self._store.drop_move(move)
            return None
        move = msgspec.structs.replace(move, sure=True)
        self.settling = Settling(move, moves.steps(tree.live))
        with self._commits(""):  # from now on what a local writer does meets the new name
            self._store.keep_move(move)
        return move

    async def _is_refused(self, move: Move, live: Iterable[Row], refused: Callable[[Entry], object]) -> bool:
        """Whether an entry is refused says its path, what it is, where a symlink leads: a version for each such is
        enough."""
        known: dict[tuple[Kind, bytes], Version] = {}
        for number, row in enumerate(live, 1):
            assert row.stat is not None, "it is live"
            what = row.stat.kind, row.stat.target
            version = known.get(what)
            if version is None:
                head = Head(move.dot, row.stat.kind, target=row.stat.target)
                version = known[what] = versions.write(NEVER, head)
            if refused(Entry(moves.under(row.path, move.old, move.new), version)):
                return True
            if number % self._size == 0:
                await asyncio.sleep(0)
        return False

    # -- rows

    async def settle(self) -> None:
        """Write the rows of what is under way. To be called with the `lock`.

        Raises:
            Retryable, NeedsHelp: some could not be written; the next call goes on.
        """
        while (under_way := self.settling) is not None:
            end = under_way.at + self._size
            part = under_way.steps[under_way.at : end]
            self._store.look_ahead([self._named(step, under_way.move) for step in part])
            with self._commits(under_way.move.region):
                self._write(under_way.move, part)
                if end >= len(under_way.steps):
                    self._store.drop_move(under_way.move)
            under_way.at = end
            if end >= len(under_way.steps):
                self.settling = None
                self._wake()
                if under_way.move.region:
                    self._look_again([self._named(step, under_way.move) for step in under_way.steps if not step.leaves])
            await asyncio.sleep(0)

    def _write(self, move: Move, steps: Iterable[Step]) -> None:
        for step in steps:
            path = self._named(step, move)
            after = moves.written(step, self._replica.row(path), move)
            if after is None:
                continue
            came_from = step.row.path if not step.leaves and step.row.hash else None
            heard = after.version if move.region else None
            self._replica.commit(after, local=not move.region, came_from=came_from, heard=heard)

    @staticmethod
    def _named(step: Step, move: Move) -> RelPath:
        return step.row.path if step.leaves else moves.under(step.row.path, move.old, move.new)

    def recover(self) -> int:
        """At a start, before anything looks at the root: write the rows of what was under way; how many renames."""
        pending = self._store.moves()
        for move in pending:
            with self._commits(""):
                if move.sure or self._was_done(move):
                    self._write(move, moves.steps(self._yet_to_follow(move)))
                self._store.drop_move(move)
        if pending:
            log.info("what a kill interrupted was finished", renames=len(pending))
        return len(pending)

    def _yet_to_follow(self, move: Move) -> list[Row]:
        top = self._store.get(move.old)
        rows = [*([top] if top is not None else []), *self._store.beneath(move.old)]
        return [row for row in rows if row.stat is not None and not versions.covers(row.version, move.dot)]

    def _was_done(self, move: Move) -> bool:
        try:
            there = self._replica.disk.look(move.new)
        except Unreachable:
            return False
        return there is not None and (there.kind, there.ino, there.btime_ns) == (Kind.DIR, move.ino, move.btime_ns)
