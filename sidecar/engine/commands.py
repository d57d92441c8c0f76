"""What a person asks of a running node: the engine's side of the commands, over `admin.sock` alone."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sidecar.core import version as versions
from sidecar.core.entry import Kind, Stat
from sidecar.core.found import Prefer
from sidecar.core.paths import RelPath, checked
from sidecar.engine import restore
from sidecar.engine.links import Link, Links
from sidecar.engine.node import Node
from sidecar.engine.orders import (
    LISTED,
    Behind,
    ConflictItem,
    Conflicts,
    Joined,
    Rejected,
    Restored,
    Trash,
    TrashItem,
    Waited,
)
from sidecar.engine.reject import forget_missing
from sidecar.engine.restore import Restorer, Wanted
from sidecar.engine.status import HoldKind
from sidecar.errors import GeorootError, NeedsHelp, ProtocolViolation, Retryable
from sidecar.fs import keep
from sidecar.fs.faults import Missing
from sidecar.index.kept import Trashed

LOOK: Final = 0.02
"""Seconds between two looks at whether the peers have confirmed."""


class Commands:
    """Does what is asked; each may raise GeorootError with what to do instead. Paths are bytes, as shells give them."""

    def __init__(self, node: Node, links: Links) -> None:
        self._node = node
        self._links = links

    # -- holds

    def approve(self, hold: str) -> None:
        """What is held goes on. Raises NeedsHelp: there is no such hold."""
        self._node.holds.approve(self._active(hold))

    async def reject(self, hold: str) -> Rejected:
        """What is held is not done: what the peers deleted or replaced wins there too, what a scan missed comes back.

        Raises NeedsHelp: there is no such hold. Retryable: the first scan is not over.
        """
        node, kind = self._node, self._active(hold)
        if kind is not HoldKind.SCAN:
            paths = node.holds.active[kind].paths
            node.holds.reject(kind)
            return Rejected(paths)
        gone = node.holds.gone()
        if gone is None:
            raise Retryable("the first scan is not over")
        if not self._links.links:
            raise NeedsHelp("there is no other region that could bring it back", "put it back from a backup")
        why = "what is missing here is to be offered anew"
        self._links.close(why)
        count = await forget_missing(node.index, node.replica, gone)
        node.holds.brought_back()
        self._links.close(why)
        return Rejected(count)

    def _active(self, hold: str) -> HoldKind:
        active = {kind.value: kind for kind in self._node.holds.active}
        if hold not in active:
            raise NeedsHelp(f"there is no hold {hold!r}", f"what is held now: {', '.join(active) or 'nothing'}")
        return active[hold]

    def pause(self) -> None:
        """Neither send nor receive until `resume`, across restarts too; local changes are still taken up."""
        self._links.pause()

    def resume(self) -> None:
        """Go on."""
        self._links.resume()

    # -- first contact

    async def join(self, prefer: str, within: float, *, act: bool) -> Joined:
        """How the regions and this node compare, as soon as they have said what they have; then, to `act`, `prefer`
        (newest, local, or a region) wins where two differ, and this returns when that is done.

        `within`: seconds, for either. Raises NeedsHelp: there is nothing to decide, or the preferred region is silent.
        """
        node, joining = self._node, self._node.joining
        wins = Prefer(prefer) if prefer in {Prefer.NEWEST.value, Prefer.LOCAL.value} else Prefer.PEERS
        needed = self._named([prefer] if wins is Prefer.PEERS else [])
        if not joining.waits:
            hint = "`sidecar assert` makes this root win everywhere; see also `sidecar conflicts` and `sidecar trash`"
            raise NeedsHelp("this node does not wait for a join (found: join), or has joined already", hint)
        joining.compare_anew()
        await _until(lambda: all(joining.complete(one.peer.region) for one in needed), within)
        if not joining.waits:
            raise NeedsHelp("somebody else has decided meanwhile", "see `sidecar status`")
        links = self._links.links
        compared = [await joining.compared(region, self._why_not_compared(link)) for region, link in links.items()]
        if not act:
            return Joined(tuple(compared))
        silent = [one.region for one in compared if one.problem]
        if wins is Prefer.PEERS and prefer in silent:
            raise NeedsHelp(f"{prefer}: {self._why_not_compared(links[prefer])}", "it must be there to win")
        joining.decide(wins)
        done = await _until(node.found.is_set, within)
        return Joined(tuple(compared), done, () if done else tuple(node.finding.waits_for()))

    def _why_not_compared(self, link: Link) -> str:
        region = link.peer.region
        if self._node.joining.complete(region):
            return ""
        if self._links.incoming[region]:
            return "it has not said all that it has yet"
        return link.master.problem or "it has not connected: does it wait for `sidecar join` too?"

    # -- waiting

    async def wait(self, regions: Sequence[str], within: float) -> Waited:
        """Returns when everything that was written here before the call is in all these regions (none: in all).

        What a writer still has open is not written yet.
        """
        links, seq, until = self._named(regions), -1, time.monotonic() + within
        try:
            seq = await asyncio.wait_for(self._written(), within)
        except TimeoutError:
            return Waited(self._behind(links, seq))
        while True:
            behind = self._behind(links, seq)
            if not behind or time.monotonic() > until:
                return Waited(behind)
            await asyncio.sleep(LOOK)

    def _named(self, regions: Sequence[str]) -> list[Link]:
        links = self._links.links
        unknown = sorted(set(regions) - links.keys())
        if unknown:
            raise NeedsHelp(f"no such peer: {', '.join(unknown)}", f"the peers are {', '.join(links) or 'none'}")
        return [link for region, link in links.items() if not regions or region in regions]

    async def _written(self) -> int:
        """The seq of the last row, when what was written before the call has rows that are sent."""
        await self._node.scanned.wait()
        await self._node.watching.caught_up()
        await self._node.found.wait()
        return self._node.index.max_seq()

    def _behind(self, links: Iterable[Link], seq: int) -> tuple[Behind, ...]:
        return tuple(behind for link in links if (behind := self._one_behind(link, seq)) is not None)

    def _one_behind(self, link: Link, seq: int) -> Behind | None:
        if why := self._why_behind(link, seq):
            return Behind(link.peer.region, why)
        held = self._why_held(link)
        return Behind(link.peer.region, held, held=True) if held else None

    def _why_behind(self, link: Link, seq: int) -> str:
        """Why it has not got everything up to `seq` (negative: what was written here has no rows yet), "" if it has."""
        outbound = link.outbound
        if not self._node.going.is_set():
            return "it is paused here"
        if outbound is None or outbound.box is None:
            return link.master.problem or link.problem or "there is no link yet"
        if seq < 0:
            return "what was written here is not looked at yet"
        if not link.has(seq):
            return f"{len(outbound.box.seqs)} paths are not confirmed"
        return ""

    def _why_held(self, link: Link) -> str:
        """What the peer holds or refuses, or nobody hears because it is held here; "" if nothing."""
        scan = self._node.holds.active.get(HoldKind.SCAN)
        if scan is not None:
            return f"{scan.paths} paths that are gone here are held as `scan`: `sidecar approve scan` or `reject scan`"
        problems = link.outbound.problems if link.outbound is not None else {}
        for path, hint in problems.items():
            return f"{len(problems)} paths are not applied there, {_shown(path)} among them: {hint}"
        return ""

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
        raw = _path(path)
        try:
            return self._node.root.conflicts.open_file(keep.conflict_name(self._kept(raw, ident)))
        except (Missing, OSError):
            raise NeedsHelp(f"{_shown(raw)}: its bytes are gone", "see `sidecar conflicts`") from None

    async def take(self, path: bytes, ident: str) -> None:
        """A losing version becomes the current one in every region; what was shown goes to the trash."""
        raw = _path(path)
        digest = self._kept(raw, ident)
        row = self._node.index.get(raw)
        lost = next((head for head in row.version.heads if head.hash == digest), None) if row is not None else None
        if lost is None:
            raise NeedsHelp(f"{_shown(raw)}: that version is no conflict any more", "see `sidecar conflicts`")
        stat = Stat(Kind.FILE, lost.size, lost.mtime_ns, lost.mode, 0, 0)
        await self._restore([Wanted(raw, stat, digest)])

    def _kept(self, path: RelPath, ident: str) -> bytes:
        there = [one.hash for one in self._node.index.conflicts(path)]
        found = [digest for digest in there if digest.hex().startswith(ident)]
        if not there:
            raise NeedsHelp(f"{_shown(path)}: it has no conflict", "see `sidecar conflicts`")
        if not found:
            raise NeedsHelp(f"{_shown(path)}: it has no losing version {ident!r}", "see `sidecar conflicts`")
        if len(found) > 1:
            ids = ", ".join(digest.hex()[:8] for digest in found)
            raise NeedsHelp(f"{_shown(path)}: {len(found)} losing versions are meant", f"say which: {ids}")
        return found[0]

    # -- the trash

    def trash(self, path: bytes, limit: int) -> Trash:
        """What is in the trash, the youngest first; of `path` and beneath it alone, if it is not empty."""
        index, most = self._node.index, min(limit, LISTED)
        if not path:
            return Trash(tuple(_item(one) for one in index.youngest_trash(most)))
        raw = _path(path)
        there = (one for each in (raw, *index.trash_beneath(raw)) for one in index.trash_of(each))
        return Trash(tuple(_item(one) for one in heapq.nlargest(most, there, key=lambda one: one.at_us)))

    async def restore(self, path: bytes, at: float | None) -> Restored:
        """`path`, and what lay beneath it, as it was at the unix time `at` (None: as it was before it left last)."""
        raw = _path(path)
        wanted = restore.before(self._node.index, raw) if at is None else restore.at(self._node.index, raw, _us(at))
        if not wanted:
            raise NeedsHelp(f"{_shown(raw)}: nothing of it is in the trash", "see `sidecar trash`")
        return await self._restore([Wanted(one.path, one.stat, one.hash) for one in wanted])

    async def restore_since(self, since: float, peer: str) -> Restored:
        """Everything that left on behalf of `peer` ("": of anybody) since the unix time `since`."""
        if peer:
            self._named([peer])
        items = restore.left_since(self._node.index, _us(since), peer)
        return await self._restore([Wanted(one.path, one.stat, one.hash) for one in items])

    async def _restore(self, wanted: list[Wanted]) -> Restored:
        """What can be restored is; raises what went wrong if nothing can be."""
        node = self._node
        restorer = Restorer(lambda: node.landing.lander(""))
        done: list[bytes] = []
        failed: list[GeorootError] = []
        for one in wanted:
            with node.landing.by_hand(one.path, restorer.head(one)):
                try:
                    restorer.put(one)
                    done.append(one.path)
                except (NeedsHelp, Retryable) as error:  # what was noticed on the way is told, and stays
                    failed.append(error)
            await asyncio.sleep(0)
        node.wake()
        await node.durability.reached()
        if failed and not done:
            raise failed[0]
        return Restored(len(done), tuple(done[:LISTED]), len(failed), tuple(str(error) for error in failed[:LISTED]))


async def _until(true: Callable[[], bool], within: float) -> bool:
    """Look until it is true, for so many seconds at most; is it?"""
    until = time.monotonic() + within
    while True:
        if true() or time.monotonic() > until:
            return true()
        await asyncio.sleep(LOOK)


def _item(one: Trashed) -> TrashItem:
    return TrashItem(
        id=_shown(one.name),
        path=one.path,
        kind=one.stat.kind.name.lower(),
        size=one.size,
        reason=one.reason.value,
        peer=one.source,
        left=one.at_us / 1e6,
    )


def _us(seconds: float) -> int:
    return int(seconds * 1e6)


def _path(raw: bytes) -> RelPath:
    """A path of the web root as people name it.

    Raises:
        NeedsHelp: it is none.
    """
    try:
        return checked(raw.strip(b"/"))
    except ProtocolViolation:
        raise NeedsHelp(f"{_shown(raw)!r} is no path in the web root", "write it relative to the web root") from None


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
