"""What a person asks of a running node: the engine's side of the commands, over `admin.sock` alone."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from sidecar.core import version as versions
from sidecar.core.entry import Flag, Kind, Stat
from sidecar.core.paths import RelPath, shown
from sidecar.core.ports import Unreachable
from sidecar.engine import restore
from sidecar.engine.decisions import FORGOTTEN_HINT, LOOK, Decisions, path_in_root, until
from sidecar.engine.heartbeat import SILENCE
from sidecar.engine.link import Link
from sidecar.engine.orders import (
    LISTED,
    Behind,
    ConflictItem,
    Conflicts,
    Pending,
    Restored,
    Synced,
    Trash,
    TrashItem,
    Verified,
    VerifyProgress,
    Waited,
)
from sidecar.engine.peek import ask_all
from sidecar.engine.restore import Restorer, Wanted
from sidecar.engine.settling import REACH, Settling, is_stuck, pending
from sidecar.engine.status import HoldKind
from sidecar.engine.verify import verify
from sidecar.errors import GeorootError, NeedsHelp, Retryable
from sidecar.fs import keep
from sidecar.fs.faults import Missing
from sidecar.index.kept import Trashed


class Commands(Decisions):
    """Does what is asked; each may raise GeorootError with what to do instead. Paths are bytes, as shells give them."""

    # -- pause

    def pause(self) -> None:
        """Neither send nor receive until `resume`, across restarts too; local changes are still taken up."""
        self._links.pause()

    def resume(self) -> None:
        """Go on."""
        self._links.resume()

    # -- waiting

    async def wait(self, regions: Sequence[str], within: float) -> Waited:
        """Returns when everything that was written here before the call is in all these regions (none: in all).

        What a writer still has open is not written yet.
        """
        links, seq, until = self._links.named(regions), -1, time.monotonic() + within
        try:
            async with asyncio.timeout(within):
                seq = await self._written()
        except TimeoutError:
            return Waited(self._behind(links, seq, {}))
        before = self._node.intake.unsent()
        while True:
            unsent = {path: why for path, why in self._node.intake.unsent().items() if path in before}
            if len(unsent) < len(before):  # what could be read since has a row by now
                before, seq = unsent, self._node.index.max_seq()
            behind = self._behind(links, seq, unsent)
            if not behind or time.monotonic() > until:
                return Waited(behind)
            await asyncio.sleep(LOOK)

    async def _written(self) -> int:
        """The seq of the last row, when what was written before the call has rows that are sent."""
        await self._node.scanned.wait()
        await self._node.watching.caught_up()
        await self._node.finds.done.wait()
        return self._node.index.max_seq()

    # -- one run

    async def sync(self, within: float) -> Synced:
        """Look at the whole web root now; returns when this node and every region have everything of each other, but
        for regions that stay away, and what is held."""
        end, settling = time.monotonic() + within, Settling(self._node, self._links)
        await self._scanned_anew(within)
        await until(settling.heard_all, end - time.monotonic())
        seq = self._node.index.max_seq()
        await until(lambda: settling.sent_all(seq), end - time.monotonic())
        self._links.tell()
        # it answers at once, unless its own index has no room for that
        await until(settling.told_all, min(SILENCE, end - time.monotonic()))
        each = (self._not_synced(settling, link, seq) for link in self._links.links.values())
        return Synced(tuple(one for one in each if one is not None))

    def _not_synced(self, settling: Settling, link: Link, seq: int) -> Behind | None:
        region, behind = link.peer.region, self._one_behind(link, seq, self._node.intake.unsent())
        if not settling.reached(link):
            why = behind.why if behind is not None and not behind.held else "it does not connect to this node"
            return Behind(region, why, unreached=True)
        if behind is not None:
            return behind
        for path, hint in self._node.unapplied.paths.items():
            return Behind(region, f"not all that came is applied here, {shown(path)}: {hint}", held=True)
        if region not in self._links.heard:
            return Behind(region, "it has not sent all that it has yet")
        return None if link.told else Behind(region, "it has not confirmed yet how far it is")

    async def _scanned_anew(self, within: float) -> None:
        node = self._node
        if not node.scanned.is_set():
            await until(node.scanned.is_set, within)
            return
        await until(lambda: not node.scans.running, within)
        asked = time.monotonic()
        node.scan_soon()
        await until(lambda: node.scans.ended_at > asked and not node.scans.running, within)

    async def pending(self) -> Pending:
        """What each region has not confirmed."""
        return await pending(self._node, self._links)

    async def look(self, within: float) -> Pending:
        """The same in a run that sends nothing: when what has changed here is taken up, and the regions are asked."""
        await self._node.scanned.wait()
        await self._node.watching.caught_up()
        await ask_all(self._node.me, self._links, min(within, REACH))
        return await pending(self._node, self._links)

    def _behind(self, links: Iterable[Link], seq: int, unsent: Mapping[RelPath, Unreachable]) -> tuple[Behind, ...]:
        return tuple(behind for link in links if (behind := self._one_behind(link, seq, unsent)) is not None)

    def _one_behind(self, link: Link, seq: int, unsent: Mapping[RelPath, Unreachable]) -> Behind | None:
        if why := self._why_behind(link, seq):
            return Behind(link.peer.region, why)
        held = self._why_held(link, unsent)
        return Behind(link.peer.region, held, held=True) if held else None

    def _why_behind(self, link: Link, seq: int) -> str:
        """Why it has not got everything up to `seq` (negative: what was written here has no rows yet), "" if it has."""
        outbound = link.outbound
        if not self._node.going.is_set():
            return "it is paused here"
        if self._node.joining.waits:
            return "this node waits for `sidecar join`"
        if outbound is None or outbound.box is None:
            return link.master.problem or link.problem or "there is no link yet"
        if seq < 0:
            return "what was written here is not looked at yet"
        if not link.has(seq) and not is_stuck(link):
            return f"{len(outbound.box.seqs)} paths are not confirmed"
        return ""

    def _why_held(self, link: Link, unsent: Mapping[RelPath, Unreachable]) -> str:
        """What the peer holds or refuses, or nobody hears because it is held here or is `unsent`; "" if nothing."""
        active = self._node.holds.active
        scan, forgotten = active.get(HoldKind.SCAN), active.get(HoldKind.FORGOTTEN)
        if scan is not None:
            return f"{scan.paths} paths that are gone here are held as `scan`: `sidecar approve scan` or `reject scan`"
        # a local write may have ended it for the last path a moment ago
        if forgotten is not None and (rows := self._node.index.flagged(Flag.FORGOTTEN, 1)):
            return f"held as `forgotten`, {shown(rows[0].path)} among it: {forgotten.why}; {FORGOTTEN_HINT}"
        for path, why in unsent.items():
            return f"{len(unsent)} paths are not sent, {shown(path) or '.'} among them: {why.why}; {why.hint}"
        problems = link.outbound.problems if link.outbound is not None else {}
        for path, hint in problems.items():
            return f"{len(problems)} paths are not applied there, {shown(path)} among them: {hint}"
        return ""

    async def verify(
        self, regions: Sequence[str], told: Callable[[VerifyProgress], None], *, checksum: bool
    ) -> Verified:
        """How these regions (none: all) differ from this node; `checksum`: every file is hashed before, here and there.

        `told` hears how far it is. What is only on its way is waited for.
        """
        return await verify(self._node, self._links.named(regions), checksum=checksum, told=told)

    # -- conflicts

    def conflicts(self) -> Conflicts:
        """The losing versions, by path."""
        found = self._node.index.conflicts()
        return Conflicts(tuple(self._conflict(one.path, one.hash) for one in found[:LISTED]), len(found))

    def _conflict(self, path: RelPath, digest: bytes) -> ConflictItem:
        row = self._node.index.get(path)
        heads = row.version.heads if row is not None else ()
        lost = next((head for head in heads if head.hash == digest), None)
        best = versions.winner(row.version) if row is not None else None
        return ConflictItem(
            path=path,
            id=digest.hex(),
            size=lost.size if lost is not None else 0,
            written=lost.dot.counter / 1e6 if lost is not None else 0.0,
            shown_size=best.size if best is not None else 0,
            shown_written=best.dot.counter / 1e6 if best is not None else 0.0,
        )

    def conflict(self, path: bytes, ident: str) -> int:
        """A descriptor that reads the bytes of a losing version, for people to look at; the caller closes it."""
        raw = path_in_root(path)
        try:
            return self._node.root.conflicts.open_file(keep.conflict_name(self._kept(raw, ident)))
        except (Missing, OSError):
            raise NeedsHelp(f"{shown(raw)}: its bytes are gone", "see `sidecar conflicts`") from None

    async def take(self, path: bytes, ident: str) -> None:
        """A losing version becomes the current one in every region; what was shown goes to the trash."""
        raw = path_in_root(path)
        digest = self._kept(raw, ident)
        row = self._node.index.get(raw)
        lost = next((head for head in row.version.heads if head.hash == digest), None) if row is not None else None
        if lost is None:
            raise NeedsHelp(f"{shown(raw)}: that version is no conflict any more", "see `sidecar conflicts`")
        stat = Stat(Kind.FILE, lost.size, lost.mtime_ns, lost.mode, 0, 0)
        await self._restore([Wanted(raw, stat, digest)])

    def _kept(self, path: RelPath, ident: str) -> bytes:
        there = [one.hash for one in self._node.index.conflicts(path)]
        found = [digest for digest in there if digest.hex().startswith(ident)]
        if not there:
            raise NeedsHelp(f"{shown(path)}: it has no conflict", "see `sidecar conflicts`")
        if not found:
            raise NeedsHelp(f"{shown(path)}: it has no losing version {ident!r}", "see `sidecar conflicts`")
        if len(found) > 1:
            ids = ", ".join(digest.hex()[:8] for digest in found)
            raise NeedsHelp(f"{shown(path)}: {len(found)} losing versions are meant", f"say which: {ids}")
        return found[0]

    # -- the trash

    def trash(self, path: bytes, limit: int) -> Trash:
        """What is in the trash, the youngest first; of `path` and beneath it alone, if it is not empty."""
        index, most = self._node.index, min(limit, LISTED)
        if not path:
            return Trash(tuple(_item(one) for one in index.youngest_trash(most)))
        raw = path_in_root(path)
        there = (one for each in (raw, *index.trash_beneath(raw)) for one in index.trash_of(each))
        return Trash(tuple(_item(one) for one in heapq.nlargest(most, there, key=lambda one: one.at_us)))

    async def restore(self, path: bytes, at: float | None) -> Restored:
        """`path`, and what lay beneath it, as it was at the unix time `at` (None: as it was before it left last)."""
        raw = path_in_root(path)
        wanted = restore.before(self._node.index, raw) if at is None else restore.at(self._node.index, raw, _us(at))
        if not wanted:
            hint = "see `sidecar trash`, or ask a region where it was not deleted by hand"
            raise NeedsHelp(f"{shown(raw)}: nothing of it is in the trash", hint)
        return await self._restore([Wanted(one.path, one.stat, one.hash) for one in wanted])

    async def restore_since(self, since: float, peer: str) -> Restored:
        """Everything that left on behalf of `peer` ("": of anybody) since the unix time `since`."""
        if peer:
            self._links.named([peer])
        items = restore.left_since(self._node.index, _us(since), peer)
        return await self._restore([Wanted(one.path, one.stat, one.hash) for one in items])

    async def _restore(self, wanted: list[Wanted]) -> Restored:
        """What can be restored is; raises what went wrong if nothing can be."""
        node = self._node
        restorer = Restorer(node.replica, node.absorber)
        done: list[bytes] = []
        failed: list[GeorootError] = []
        for one in wanted:
            async with node.landing.copied_by_hand(one.hash, one.stat.size):
                with node.landing.by_hand(one.path, restorer.head(one)):
                    try:
                        restorer.put(one)
                        done.append(one.path)
                    except (NeedsHelp, Retryable) as error:  # what was noticed on the way is told, and stays
                        failed.append(error)
            await asyncio.sleep(0)
        node.listeners.woken()
        await node.durability.reached()
        if failed and not done:
            raise failed[0]
        return Restored(len(done), tuple(done[:LISTED]), len(failed), tuple(str(error) for error in failed[:LISTED]))


def _item(one: Trashed) -> TrashItem:
    return TrashItem(
        id=shown(one.name),
        path=one.path,
        kind=one.stat.kind.name.lower(),
        size=one.size,
        reason=one.reason.value,
        peer=one.source,
        left=one.at_us / 1e6,
    )


def _us(seconds: float) -> int:
    return int(seconds * 1e6)
