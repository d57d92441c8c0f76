"""What a person asks of a running node: the engine's side of the commands, over `admin.sock` alone."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import msgspec

from sidecar.core import version as versions
from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath, checked
from sidecar.engine.holds import HoldKind
from sidecar.engine.links import Links
from sidecar.engine.node import Node
from sidecar.engine.restore import Restorer, Wanted, left_since, state_at
from sidecar.errors import NeedsHelp, ProtocolViolation
from sidecar.index.kept import Trashed

LOOK: Final = 0.02
"""Seconds between two looks at whether the peers have confirmed."""
LISTED: Final = 1000
"""The most that one answer lists."""


class ConflictItem(msgspec.Struct, frozen=True):
    """A losing version whose bytes are kept: `id` names them (the hash), `shown_*` what the root shows instead."""

    path: str
    id: str
    size: int
    written: float
    """unix seconds"""
    shown_size: int
    shown_written: float


class TrashItem(msgspec.Struct, frozen=True):
    """Something that left the web root: `id` names it in the trash."""

    id: str
    path: str
    kind: str
    size: int
    reason: str
    peer: str
    """the region on whose behalf it left, "" for this node"""
    left: float
    """unix seconds"""


class Waited(msgspec.Struct, frozen=True):
    """Who has everything that was written before the question, and who has not."""

    done: bool
    behind: tuple[str, ...]


class Commands:
    """Does what is asked; each may raise GeorootError with what to do instead. Paths are as a shell gives them."""

    def __init__(self, node: Node, links: Links) -> None:
        self._node = node
        self._links = links

    # -- holds

    def approve(self, hold: str) -> None:
        """What is held goes on. Raises NeedsHelp: there is no such hold."""
        kinds = {kind.value: kind for kind in HoldKind}
        if hold not in kinds or not self._node.holds.approve(kinds[hold]):
            active = ", ".join(kind.value for kind in self._node.holds.active) or "none"
            raise NeedsHelp(f"there is no hold {hold!r}", f"what is held now: {active}")

    def pause(self) -> None:
        """Neither send nor receive until `resume`, across restarts too; local changes are still taken up."""
        self._links.pause()

    def resume(self) -> None:
        """Go on."""
        self._links.resume()

    async def wait(self, regions: Iterable[str], within: float) -> Waited:
        """Returns when everything that was written here before the call is in all these regions (none: in all)."""
        unknown = sorted(set(regions) - self._links.links.keys())
        if unknown:
            raise NeedsHelp(f"no such peer: {', '.join(unknown)}", f"the peers are {', '.join(self._links.links)}")
        asked = [link for region, link in self._links.links.items() if not regions or region in regions]
        deadline = time.monotonic() + within
        try:
            await asyncio.wait_for(self._node.watching.caught_up(), within)
        except TimeoutError:
            return Waited(done=False, behind=tuple(link.peer.region for link in asked))
        seq = self._node.index.max_seq()
        while True:
            behind = tuple(link.peer.region for link in asked if not link.has(seq))
            if not behind or time.monotonic() > deadline:
                return Waited(done=not behind, behind=behind)
            await asyncio.sleep(LOOK)

    # -- what is kept

    def conflicts(self) -> list[ConflictItem]:
        """Every losing version, by path."""
        return [self._conflict(one.path, one.hash) for one in self._node.index.conflicts()[:LISTED]]

    def _conflict(self, path: RelPath, digest: bytes) -> ConflictItem:
        row = self._node.index.get(path)
        heads = row.version.heads if row is not None else ()
        lost = next((head for head in heads if head.hash == digest), None)
        best = versions.winner(row.version) if row is not None else None
        return ConflictItem(
            path=_shown(path),
            id=digest.hex(),
            size=lost.size if lost is not None else 0,
            written=lost.dot.counter / 1e6 if lost is not None else 0.0,
            shown_size=best.size if best is not None else 0,
            shown_written=best.dot.counter / 1e6 if best is not None else 0.0,
        )

    def conflict_bytes(self, path: bytes, ident: str) -> bytes:
        """The bytes of a losing version, for people to look at."""
        digest = self._kept(path, ident)
        return self._node.root.conflicts.read(RelPath(digest.hex().encode()))

    def take(self, path: bytes, ident: str) -> None:
        """A losing version becomes the current one in every region; what was shown goes to the trash."""
        raw, digest = _path(path), self._kept(path, ident)
        row = self._node.index.get(raw)
        lost = next((head for head in row.version.heads if head.hash == digest), None) if row is not None else None
        if lost is None:
            raise NeedsHelp(f"{_shown(path)}: that version is no conflict any more", "see `sidecar conflicts`")
        stat = Stat(Kind.FILE, lost.size, lost.mtime_ns, lost.mode, 0, 0)
        self._restore([Wanted(raw, stat, digest)])

    def _kept(self, path: bytes, ident: str) -> bytes:
        found = [one.hash for one in self._node.index.conflicts(_path(path)) if one.hash.hex().startswith(ident)]
        if len(found) != 1:
            which = "names several versions" if found else "is no version that is kept for it"
            raise NeedsHelp(f"{_shown(path)}: {ident!r} {which}", "see `sidecar conflicts`")
        return found[0]

    def trash(self, path: bytes, limit: int) -> list[TrashItem]:
        """What is in the trash, the youngest first; of `path` alone, if it is not empty."""
        index = self._node.index
        items = index.trash_of(_path(path)) if path else index.youngest_trash(min(limit, LISTED))
        return [_item(one) for one in items[:limit]]

    def restore(self, path: bytes, at: float | None) -> list[str]:
        """`path`, and what lay beneath it, as it was at the unix time `at` (None: as it was before it left last)."""
        index, raw = self._node.index, _path(path)
        if at is None:
            wanted = index.trash_of(raw)[:1]
        else:
            wanted = [one for one in [state_at(index, raw, int(at * 1e6))] if one is not None]
        wanted += self._beneath(raw, at)
        if not wanted:
            raise NeedsHelp(f"{_shown(path)}: nothing in the trash was there then", "see `sidecar trash`")
        return self._restore([Wanted(one.path, one.stat, one.hash) for one in wanted])

    def _beneath(self, directory: RelPath, at: float | None) -> list[Trashed]:
        index = self._node.index
        found = (
            state_at(index, path, int((at or 0.0) * 1e6)) if at is not None else index.trash_of(path)[0]
            for path in index.trash_beneath(directory)
        )
        return [one for one in found if one is not None and (at is not None or not self._is_there(one.path))]

    def _is_there(self, path: RelPath) -> bool:
        row = self._node.index.get(path)
        return row is not None and row.stat is not None

    def restore_since(self, since: float, peer: str) -> list[str]:
        """Everything that left on behalf of `peer` ("": of anybody) since the unix time `since`."""
        items = left_since(self._node.index, int(since * 1e6), peer)
        return self._restore([Wanted(one.path, one.stat, one.hash) for one in items])

    def _restore(self, wanted: list[Wanted]) -> list[str]:
        node = self._node
        node.landing.mend()
        restorer = Restorer(node.index, node.landing.lander(""))
        done: list[str] = []
        for one in wanted:
            with node.index.transaction():
                restorer.put(one)
            done.append(_shown(one.path))
        node.wake()
        return done


def _item(one: Trashed) -> TrashItem:
    return TrashItem(
        id=_shown(one.name),
        path=_shown(one.path),
        kind=one.stat.kind.name.lower(),
        size=one.size,
        reason=one.reason.value,
        peer=one.source,
        left=one.at_us / 1e6,
    )


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
