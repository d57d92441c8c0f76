"""Is everything of this node in the regions, and everything of theirs here? And what is still to go there?"""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from sidecar.core import version as versions
from sidecar.core.entry import Kind, Row
from sidecar.engine.comparing import resting
from sidecar.engine.link import Link
from sidecar.engine.links import Links
from sidecar.engine.node import Node
from sidecar.engine.orders import LISTED, Pending, PendingOf
from sidecar.engine.outbound import sendable

REACH: Final = 20.0
"""Seconds for which a region may be away before it is not waited for."""
STUCK: Final = 5.0
"""Seconds for which paths that cannot be applied here, or are held, are waited for beside everything else."""
PAGE: Final = 500
"""Rows read from the index before others have their turn."""


class Settling:
    """Looked at again and again until it says so; a region that stays away does not hold it up."""

    def __init__(self, node: Node, links: Links) -> None:
        self._node = node
        self._links = links
        self._away: dict[str, float] = {}
        self._there: dict[str, float] = {}

    def heard_all(self) -> bool:
        """Is everything looked at that was written here, and has every region offered all that it has?"""
        links = self._links.links.values()
        heard = [link.peer.region in self._links.heard or self._is_over(link) for link in links]
        found = self._node.finds.done.is_set() or any(self._is_given_up(link) for link in links)
        return all(heard) and found and not self._node.watching.busy

    def sent_all(self, seq: int) -> bool:
        """Has every region confirmed everything up to `seq`?"""
        links = self._links.links.values()
        return all(link.has(seq) or is_stuck(link) or self._is_given_up(link) for link in links)

    def told_all(self) -> bool:
        """Has every region stored up to where it has settled everything, so that its next hello says so?"""
        return all(link.told or self._is_given_up(link) for link in self._links.links.values())

    def reached(self, link: Link) -> bool:
        """Is the region connected, both ways?"""
        out = link.outbound is not None and link.outbound.box is not None
        return out and bool(link.incoming)

    def _is_over(self, link: Link) -> bool:
        """Is the region away, or are there paths of it for which a person is waited for, so that it never ends?"""
        region, now = link.peer.region, time.monotonic()
        if self._is_given_up(link):
            return True
        since = self._there.setdefault(region, now) if self.reached(link) else now
        return bool(self._node.unapplied.paths) and now - since > STUCK

    def _is_given_up(self, link: Link) -> bool:
        region, now = link.peer.region, time.monotonic()
        if self.reached(link):
            self._away.pop(region, None)
            return False
        return now - self._away.setdefault(region, now) > REACH


def is_stuck(link: Link) -> bool:
    """Does the peer have everything but for what it cannot take, and has said why?"""
    there = link.outbound
    if there is None or there.box is None or not there.problems:
        return False
    return resting(there.box, time.monotonic())


async def pending(node: Node, links: Links) -> Pending:
    """What each region has yet to confirm, as far as is known here."""
    notes = [hold.why for hold in node.holds.active.values()]
    if not node.me.found_done:
        notes.append("what was found here is compared with the regions before it goes")
    return Pending(tuple([await _pending(node, link) for link in links.links.values()]), tuple(notes))


async def _pending(node: Node, link: Link) -> PendingOf:
    problem = "" if link.outbound is not None else link.master.problem or link.problem
    if link.cursor < 0 and link.outbound is None:
        return PendingOf(link.peer.region, problem or "it was not heard of yet")
    sent: list[bytes] = []
    deleted: list[bytes] = []
    send = delete = size = 0
    for looked, row in enumerate(_unsettled(node, link), 1):
        if looked % PAGE == 0:
            await asyncio.sleep(0)
        best = versions.winner(row.version)
        if best is not None and best.kind is Kind.TOMBSTONE:
            delete += 1
            deleted += [row.path] if delete <= LISTED else []
        else:
            send += 1
            size += best.size if best is not None else 0
            sent += [row.path] if send <= LISTED else []
    return PendingOf(link.peer.region, problem, send, size, tuple(sent), delete, tuple(deleted))


def _unsettled(node: Node, link: Link) -> Iterator[Row]:
    box = link.outbound.box if link.outbound is not None else None
    if box is not None:
        yield from (row for path in tuple(box.seqs) if (row := node.index.get(path)) is not None)
        return
    at = max(0, link.cursor)
    while rows := node.index.since(at, PAGE):
        yield from (row for row in rows if sendable(row))
        at = rows[-1].seq
