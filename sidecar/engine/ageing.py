"""Tombstones that are old, and that every known node has, are dropped; nodes that stay away for long are forgotten."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, MutableMapping
from typing import Final, Protocol

import structlog

from sidecar.core import ageing
from sidecar.core import version as versions
from sidecar.core.ageing import Agreement, NodeName
from sidecar.core.entry import Row
from sidecar.core.paths import RelPath
from sidecar.engine.housekeeping import later
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

AT_ONCE: Final = 500
"""Tombstones dropped in one transaction, before others have their turn: some milliseconds."""
EVERY: Final = 60.0
"""Seconds between two rounds at most; else a tenth of the shortest time that is waited for."""
GRACE: Final = 3600.0
"""Seconds from a start in which nobody is forgotten: a node that was down for long first hears who is there."""


class Counterpart(Protocol):
    """What a link knows of the nodes at its other end."""

    @property
    def agreements(self) -> MutableMapping[NodeName, Agreement | None]:
        """Those that were spoken to since the start, and what each was seen to have over the connection that is open.
        None: there is none, or it was not seen to have anything yet."""

    def connected(self) -> Collection[NodeName]:
        """Those to or from which a connection is open."""

    def is_on_its_way(self, path: RelPath) -> bool:
        """Is a row of this path about to be sent, or was it not answered yet?"""


class Ageing:
    """Drops and forgets, a round now and then.

    Args:
        regions: the configured peers: one that was never heard of is waited for.
        keep, forget: seconds.
        monotonic: seconds.
    """

    def __init__(
        self,
        index: Index,
        links: Collection[Counterpart],
        regions: Iterable[str],
        *,
        keep: float,
        forget: float,
        now_us: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = index
        self._links = links
        self._regions = frozenset(regions)
        self._keep_us = round(keep * 1e6)
        self._forget_us = round(forget * 1e6)
        self._now_us = now_us
        self._monotonic = monotonic
        self._started = monotonic()
        self._grace = min(GRACE, forget)
        self.every = min(EVERY, keep / 10, forget / 10)

    async def run(self) -> None:
        """Rounds, until cancelled."""
        while True:
            await asyncio.sleep(self.every)
            with later():
                await self.round()

    async def round(self) -> None:
        """Forget whom nobody waits for, then drop what is due."""
        self.forget()
        after = (-1, 0)
        while (due := self._due(after)) is not None:
            rows, after = due
            self._drop(rows)
            await asyncio.sleep(0)

    def forget(self) -> None:
        """Nodes that were not heard of for so long are not waited for any more."""
        now_us, connected = self._now_us(), set[NodeName]().union(*(link.connected() for link in self._links))
        if self._monotonic() - self._started < self._grace:
            return
        for peer in self._index.peers():
            here = NodeName(peer.region, peer.node) in connected
            if not here and ageing.is_absent(peer.contact_us, now_us, self._forget_us):
                self._index.forget_peer(peer.region, peer.node, now_us)
                for link in self._links:
                    link.agreements.pop(NodeName(peer.region, peer.node), None)
                log.warning(
                    "a node was not heard of for so long that it is forgotten", peer=peer.region, node=peer.node
                )

    def _due(self, after: tuple[int, int]) -> tuple[list[Row], tuple[int, int]] | None:
        """The next tombstones that may go, and where to go on; None: that was all, or nothing may.

        Asked anew for every page: between two, a node may have come that nobody knew.
        """
        peers = self._index.peers()
        spoken = {name: agreed for link in self._links for name, agreed in link.agreements.items()}
        known = {NodeName(peer.region, peer.node) for peer in peers} | spoken.keys()
        heard_of = {name.region for name in known} | {one.region for one in self._index.forgotten()}
        agreement = ageing.agreed(known, spoken)
        if agreement is None or self._regions - heard_of:
            return None
        before_us = ageing.before_us(self._now_us(), self._keep_us, (peer.contact_us for peer in peers))
        page = self._index.tombstones_older_than(before_us, AT_ONCE, after)
        if not page:
            return None
        old = [row for row in page if ageing.may_go(row, before_us, agreement)]
        rows = [row for row in old if not any(link.is_on_its_way(row.path) for link in self._links)]
        return rows, (versions.newest(page[-1].version), page[-1].seq)

    def _drop(self, rows: list[Row]) -> None:
        if not rows:
            return
        with self._index.transaction():
            self._index.set_complete_since(max(versions.newest(row.version) for row in rows) + 1)
            for row in rows:
                self._index.remove(row.path)
        log.debug("tombstones are dropped", count=len(rows))
