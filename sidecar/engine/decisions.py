"""What a person decides: who wins at first contact, and what becomes of what is held."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from sidecar.core.found import Prefer
from sidecar.core.paths import ROOT, RelPath, checked, shown
from sidecar.engine.assertion import Assertion
from sidecar.engine.holds import Hold
from sidecar.engine.link import Link
from sidecar.engine.links import Links
from sidecar.engine.node import Node
from sidecar.engine.orders import Claimed, Joined, Rejected, Way
from sidecar.engine.reject import forget_missing
from sidecar.engine.status import HoldKind
from sidecar.errors import NeedsHelp, ProtocolViolation, Retryable

FORGOTTEN_HINT: Final = "`sidecar approve forgotten` takes --trash or --offer, the other holds neither"
LOOK: Final = 0.02
"""Seconds between two looks at whether something has come about."""


class Decisions:
    """Does what was decided; each may raise GeorootError with what to do instead."""

    def __init__(self, node: Node, links: Links) -> None:
        self._node = node
        self._links = links
        self._assertion = Assertion(node.index, node.replica, node.absorber, node.landing)
        self._asserting = False

    # -- holds

    async def approve(self, hold: str, way: Way | None = None) -> None:
        """What is held goes on, this `way`. Raises NeedsHelp: there is no such hold, or no such way out of it."""
        kind, holds = self._active(hold), self._node.holds
        if (way is None) is (kind is HoldKind.FORGOTTEN):
            raise NeedsHelp(f"{hold}: {'no' if way is None else 'a'} way was said", FORGOTTEN_HINT)
        if kind is HoldKind.ASSERT:
            await self._assert(holds.active[kind])
        elif kind is HoldKind.FORGOTTEN:
            await self._forgotten(way)
        else:
            holds.approve(kind)

    async def _forgotten(self, way: Way | None) -> None:
        node = self._node
        await (node.forgotten.trash() if way is Way.TRASH else node.forgotten.offer())
        node.listeners.woken()
        await node.durability.reached()

    async def reject(self, hold: str) -> Rejected:
        """What is held is not done: what the peers deleted or replaced wins there too, what a scan missed comes back.

        Raises NeedsHelp: there is no such hold. Retryable: the first scan is not over.
        """
        node, kind = self._node, self._active(hold)
        if kind is HoldKind.FORGOTTEN:
            raise NeedsHelp("there is nothing to reject in it", FORGOTTEN_HINT)
        if kind is HoldKind.ASSERT:
            node.holds.claimed()
            return Rejected(0)
        if kind is not HoldKind.SCAN:
            paths = node.holds.active[kind].paths
            node.holds.reject(kind)
            return Rejected(paths)
        gone = node.holds.gone()
        if gone is None:
            raise Retryable("the first scan is not over")
        if not self._links.links:
            raise NeedsHelp("there is no other region that could bring it back", "put it back from a backup")
        with self._links.quiet("what is missing here is to be offered anew"):
            count = await forget_missing(node.index, node.replica, gone)
            node.holds.brought_back()
        return Rejected(count)

    async def claim(self, path: bytes) -> Claimed:
        """What is at `path` and beneath it (b"": all) is to win in every region: held until it is approved.

        Raises NeedsHelp: nothing lies there.
        """
        node, beneath = self._node, path_in_root(path) if path.strip(b"/") else ROOT
        await node.scanned.wait()
        await node.watching.caught_up()
        extent = await self._assertion.extent(beneath)
        if not extent.here and not extent.gone:
            raise NeedsHelp(f"{shown(beneath) or 'the web root'}: nothing lies there", "see `sidecar restore`")
        hold = node.holds.claim(beneath, extent.here, extent.gone)
        return Claimed(hold.kind.value, extent.here, extent.size, extent.gone)

    async def _assert(self, hold: Hold) -> None:
        if self._asserting:
            raise Retryable("it is being done just now")
        node = self._node

        def is_wanted() -> bool:
            return node.holds.active.get(HoldKind.ASSERT) is hold

        self._asserting = True
        try:
            done = await self._assertion.write(RelPath(hold.beneath), is_wanted)
        finally:
            self._asserting = False
        if is_wanted():
            node.holds.claimed()
        node.listeners.woken()
        node.scan_soon()  # what was held at a scan is no longer gone
        await node.durability.reached()
        if not done:
            raise NeedsHelp(
                "it was given up before its end", "what was written until then stays: see `sidecar restore`"
            )

    def _active(self, hold: str) -> HoldKind:
        active = {kind.value: kind for kind in self._node.holds.active}
        if hold not in active:
            raise NeedsHelp(f"there is no hold {hold!r}", f"what is held now: {', '.join(active) or 'nothing'}")
        return active[hold]

    # -- first contact

    async def join(self, prefer: str, within: float, *, act: bool) -> Joined:
        """How the regions and this node compare, as soon as they have said what they have; then, to `act`, `prefer`
        (newest, local, or a region) wins where two differ, and this returns when that is done.

        `within`: seconds, for either. Raises NeedsHelp: there is nothing to decide, or the preferred region is silent.
        """
        node, joining = self._node, self._node.joining
        wins = Prefer(prefer) if prefer in {Prefer.NEWEST.value, Prefer.LOCAL.value} else Prefer.PEERS
        needed = self._links.named([prefer] if wins is Prefer.PEERS else [])
        if not joining.waits:
            hint = "`sidecar assert` makes this root win everywhere; see also `sidecar conflicts` and `sidecar trash`"
            raise NeedsHelp("this node does not wait for a join (found: join), or has joined already", hint)
        joining.compare_anew()
        await until(lambda: all(joining.complete(one.peer.region) for one in needed), within)
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
        done = await until(node.finds.done.is_set, within)
        return Joined(tuple(compared), done, () if done else tuple(node.finding.waits_for()))

    def _why_not_compared(self, link: Link) -> str:
        region = link.peer.region
        if self._node.joining.complete(region):
            return ""
        if link.incoming:
            return "it has not said all that it has yet"
        return link.master.problem or "it has not connected: does it wait for `sidecar join` too?"


async def until(true: Callable[[], bool], within: float) -> bool:
    """Look until it is true, for so many seconds at most; is it?"""
    end = time.monotonic() + within
    while True:
        if true() or time.monotonic() > end:
            return true()
        await asyncio.sleep(LOOK)


def path_in_root(raw: bytes) -> RelPath:
    """A path of the web root as people name it.

    Raises:
        NeedsHelp: it is none.
    """
    try:
        return checked(raw.strip(b"/"))
    except ProtocolViolation:
        raise NeedsHelp(f"{shown(raw)!r} is no path in the web root", "write it relative to the web root") from None
