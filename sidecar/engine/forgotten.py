"""Rows that a peer may have deleted so long ago that it does not know any more: they wait for a person."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from sidecar.core import observe, paths
from sidecar.core import version as versions
from sidecar.core.entry import Flag, Head, Kind, Row, marked
from sidecar.core.frames import Entry
from sidecar.core.paths import RelPath
from sidecar.core.ports import InUse, Surprise, Unreachable
from sidecar.engine.absorb import Absorber
from sidecar.engine.guard import nothing_is_held
from sidecar.engine.holds import Holds
from sidecar.engine.land import Lander
from sidecar.engine.landing import Landing
from sidecar.engine.replica import Replica
from sidecar.index.store import Index

AT_ONCE: Final = 128
"""Rows written in one transaction, before others have their turn."""
PAGE: Final = 1000
"""Rows read before they have."""


class Forgotten:
    """Marks such rows, and does what a person decides."""

    def __init__(self, index: Index, replica: Replica, absorber: Absorber, landing: Landing, holds: Holds) -> None:
        self._index = index
        self._replica = replica
        self._absorber = absorber
        self._landing = landing
        self._holds = holds

    def mark(self, region: str, rows: Iterable[tuple[RelPath, int]]) -> None:
        """`region` lacks these rows, as (path, seq), and cannot tell whether it deleted them: nobody is sent them."""
        with self._index.transaction():
            count = sum(mark(self._replica, path, seq) for path, seq in rows)
        if count:
            self._holds.forgotten(region, count)

    async def trash(self) -> int:
        """All of it is deleted, into the trash, here and wherever else it is; what somebody has open stays held. How
        many paths there were."""
        there = (await self._there())[::-1]
        for start in range(0, len(there), AT_ONCE):
            part = tuple(deletions(self._replica, there[start : start + AT_ONCE]))
            if not part:
                continue
            lander = asked(self._landing.lander(""))
            await self._landing.in_order([entry.path for entry in part])
            with self._landing.slice("", part, {}, {}):
                for entry in part:
                    lander.land(entry, None, {})
            await asyncio.sleep(0)
        self._holds.look_again()
        return len(there)

    async def offer(self) -> int:
        """All of it is sent as if it were new. How many paths there were."""
        there = await self._there()
        for start in range(0, len(there), AT_ONCE):
            self._landing.mend()
            with self._landing.committed(), self._index.transaction():
                for path in there[start : start + AT_ONCE]:
                    renew(self._replica, self._absorber, path)
            await asyncio.sleep(0)
        self._holds.look_again()
        return len(there)

    async def _there(self) -> list[RelPath]:
        """What is held, a directory before what is in it."""
        there: list[RelPath] = []
        for row in self._index.each_flagged(Flag.FORGOTTEN):
            there.append(row.path)
            if len(there) % PAGE == 0:
                await asyncio.sleep(0)
        return sorted(there, key=paths.depth)


def mark(replica: Replica, path: RelPath, seq: int) -> bool:
    """Hold the row that a peer was sent; False: it has changed since, or is held already."""
    row = replica.store.get(path)
    if row is None or row.seq != seq or marked(row.flags, Flag.FORGOTTEN):
        return False
    replica.store.put_stat(Row(path, row.version, row.stat, row.hash, row.seq, row.flags | Flag.FORGOTTEN))
    return True


def deletions(replica: Replica, there: Iterable[RelPath]) -> Iterator[Entry]:
    """What deletes those that are still held, as a peer would say it: an edit that came meanwhile beats it."""
    for path in there:
        row = replica.row(path)
        if marked(row.flags, Flag.FORGOTTEN):
            yield Entry(path, versions.write(row.version, Head(replica.dots.on(row.version), Kind.TOMBSTONE)))


def asked(lander: Lander) -> Lander:
    """Nobody is asked again whether so much may go."""
    lander.guard.holds = nothing_is_held
    return lander


def renew(replica: Replica, absorber: Absorber, path: RelPath) -> None:
    """Write what lies there anew, if it is still held."""
    try:
        row = absorber.refresh(path)
    except (InUse, Surprise, Unreachable):  # what its writer does comes after this, as a write of its own
        row = replica.row(path)
    if marked(row.flags, Flag.FORGOTTEN) and row.stat is not None:
        dot = replica.dots.on(row.version)
        replica.commit(
            observe.written(row, row.stat, row.hash, dot, row.flags & ~Flag.FORGOTTEN), local=True, content=False
        )
