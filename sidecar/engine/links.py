"""The links of a node: one a peer, whatever comes in from them, who is told of changed rows."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import Any

import structlog

from sidecar.core.frames import Frame
from sidecar.core.paths import RelPath
from sidecar.engine.inbound import Inbound
from sidecar.engine.link import PAUSED, Link
from sidecar.engine.node import Node
from sidecar.engine.replica import Changed
from sidecar.errors import NeedsHelp
from sidecar.fs.durable import publish
from sidecar.link.channel import Channel
from sidecar.link.keys import InstalledKeys

log = structlog.get_logger(__name__)


class Links:
    """All links of a node, outgoing and incoming.

    Args:
        keys, env: as OpenSSH wants them.
    """

    def __init__(self, node: Node, keys: InstalledKeys, env: dict[str, str]) -> None:
        self._node = node
        self.links = {peer.region: Link(node, peer, keys, env) for peer in node.options.peers}
        self.heard: set[str] = set()
        """the regions that have offered all that they have, each over its last connection"""
        self._mark = os.path.join(node.options.state, "paused")
        if not os.path.exists(self._mark):
            node.going.set()
        node.listeners.on_changed(self._changed)
        node.listeners.on_woken(self._wake)
        node.listeners.on_cursors_forgotten(self._ask_anew)
        node.listeners.on_rows_lost(self._begin_anew)
        if not node.options.delay:
            node.listeners.on_renamed(self._tellers)
        node.me.renewed = self._greet_anew

    def tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        """What must run, by name."""
        return {f"link {region}": link.run() for region, link in self.links.items()}

    async def arrived(self, region: str, channel: Channel) -> None:
        """A peer opened its control channel: receive from it until it is closed."""
        await self._node.scanned.wait()
        await self._node.going.wait()
        link = self.links[region]
        inbound = Inbound(
            self._node.me,
            region,
            channel,
            self._node.inbox,
            self._node.landing,
            self._node.metrics,
            met=lambda inbound: self._met(link, inbound),
            offers_end=self._offers_end,
            other_way=link.way_to,
            answerer=self._node.answerer,
            renamed=lambda frame: self._node.renamed(region, frame),
        )
        with link.reported():
            try:
                await inbound.run()
            finally:
                link.incoming.discard(inbound)

    def _met(self, link: Link, inbound: Inbound) -> None:
        assert inbound.peer is not None
        if not self._node.going.is_set():
            inbound.close(PAUSED)
            return
        # a node has one link: what was left of an earlier connection is over
        for old in [one for one in link.incoming if one.peer and one.peer.node == inbound.peer.node]:
            old.close("the same node connected anew")
        link.incoming.add(inbound)
        self.heard.discard(link.peer.region)
        self._node.joining.begun(link.peer.region)
        self._node.finds.met(inbound.peer)
        link.master.hurry()

    def _offers_end(self, region: str) -> None:
        self.heard.add(region)
        self._node.offers_end(region)

    def named(self, regions: Collection[str]) -> list[Link]:
        """The links to these regions; none named: all. Raises NeedsHelp: there is no such peer."""
        unknown = sorted(set(regions) - self.links.keys())
        if unknown:
            raise NeedsHelp(f"no such peer: {', '.join(unknown)}", f"the peers are {', '.join(self.links) or 'none'}")
        return [link for region, link in self.links.items() if not regions or region in regions]

    def pause(self) -> None:
        """Cut every control channel and open none until `resume`, in the next run too."""
        publish(self._mark, b"")
        self._node.going.clear()
        self.close(PAUSED)

    def resume(self) -> None:
        """Go on."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._mark)
        self._node.going.set()

    @contextlib.contextmanager
    def quiet(self, reason: str) -> Iterator[None]:
        """No control channel is open in the block: nothing comes in, and nothing is about to be sent."""
        self._node.going.clear()
        self.close(reason)
        try:
            yield
        finally:
            self.close(reason)
            if not os.path.exists(self._mark):
                self._node.going.set()

    def refused(self, region: str, reason: str) -> None:
        """The gate refused what a peer asked for."""
        log.warning("the gate refused what a peer asked for", peer=region, asked=reason)
        if region in self.links:
            self._node.metrics.refused(region)

    def flushed(self, *, connected_only: bool = False) -> bool:
        """Has every peer confirmed everything, or every one that there is a link to?"""
        there = (link for link in self.links.values() if link.outbound or not connected_only)
        return all(link.outbound.idle if link.outbound else self._had_all(link) for link in there)

    def _had_all(self, link: Link) -> bool:
        """Had a peer that is gone confirmed all that there is?"""
        return link.cursor >= 0 and not self._node.index.count_since(link.cursor)

    def tell(self) -> None:
        """Say to every peer that is there up to where it has settled everything."""
        for link in self.links.values():
            if link.outbound is not None and link.outbound.box is not None:
                link.outbound.tell(link.outbound.box.cursor)

    @property
    def told(self) -> bool:
        """Has every peer that is there stored that?"""
        there = (link for link in self.links.values() if link.outbound is not None and link.outbound.box is not None)
        return all(link.told for link in there)

    def end(self) -> None:
        """The node is about to end."""
        for link in self.links.values():
            link.ending = True
        self.close("it is shutting down")

    def close(self, reason: str) -> None:
        """Say bye on every channel."""
        for link in self.links.values():
            if link.outbound is not None:
                link.outbound.close(reason)
            for inbound in tuple(link.incoming):
                inbound.close(reason)

    def _changed(self, changed: Changed, source: str) -> None:
        for link in self.links.values():
            link.changed(changed, source)

    def _tellers(self, old: RelPath, new: RelPath) -> list[Callable[[Frame], None]]:
        there = (link.outbound for link in self.links.values() if link.outbound is not None)
        return [say for outbound in there if (say := outbound.teller(old, new)) is not None]

    def _ask_anew(self) -> None:
        """Every peer is to offer what it has: its next hello tells that we have nothing settled."""
        for link in self.links.values():
            for inbound in tuple(link.incoming):
                inbound.close("everything is to be offered anew")

    def _greet_anew(self) -> None:
        """This node has a new epoch: every connection was made under the old one."""
        asyncio.get_running_loop().call_soon(self.close, "it has a new epoch")

    def _begin_anew(self) -> None:
        """What the outboxes know is not what is stored: they are made anew, at once."""
        for link in self.links.values():
            if link.outbound is not None:
                link.outbound.close("its index could not be written")

    def _wake(self) -> None:
        for link in self.links.values():
            link.wake()
