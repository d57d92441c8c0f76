"""One link: what this node sends to one peer, over a connection that is made anew whenever it is cut."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import structlog

from sidecar.core.ageing import Agreement, NodeName
from sidecar.core.backoff import Backoff
from sidecar.core.compare import Comparing
from sidecar.core.frames import Frame, Hello
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.engine.comparing import Way
from sidecar.engine.delivery import Delivery
from sidecar.engine.inbound import Inbound
from sidecar.engine.node import Node
from sidecar.engine.options import PeerOptions
from sidecar.engine.outbound import Outbound
from sidecar.engine.replica import Changed
from sidecar.engine.sending import Sending
from sidecar.errors import GeorootError, ProtocolViolation, Retryable
from sidecar.index.peers import MAX_NODES
from sidecar.link.channel import open_control
from sidecar.link.keys import InstalledKeys
from sidecar.link.master import CHECK_INTERVAL, LinkState, Master, Peer

log = structlog.get_logger(__name__)

RECONNECT: Final = Backoff(first=0.2, limit=15.0)
CHANNEL: Final = Backoff(first=0.2, limit=5.0)
"""Of a control channel over a connection that lives: what ended it, a full disk say, may be over at any time."""
RSYNC: Final = Backoff(first=0.2, limit=10.0)
"""Of the warm rsyncs: the peer's gate refuses them while its disk is full, and what goes waits for them after that."""
STEADY: Final = 30.0
"""Seconds after which a control channel counts as good: the next failure starts with the shortest delay."""

PAUSED: Final = "it is paused"


def delay(backoff: Backoff, attempt: int) -> float:
    """Seconds before `attempt`, spread so that two nodes do not meet in step."""
    return backoff.delay(attempt, random.random())  # noqa: S311 - a spread, not a secret


class Link:
    """What this node sends to one peer: the connection, the warm rsyncs over it, and the control channel."""

    def __init__(self, node: Node, peer: PeerOptions, keys: InstalledKeys, env: dict[str, str]) -> None:
        self._node = node
        self.peer = peer
        self.outbound: Outbound | None = None
        self.problem = ""
        self.cursor = -1
        """the seq up to which the peer has confirmed everything; -1: it was not heard of in this run"""
        self.ending = False
        """its node ends it: what ends it then is no problem"""
        self.agreements: dict[NodeName, Agreement | None] = {}
        """of the nodes of the peer that were spoken to: what each was seen to have, while it is connected"""
        self.incoming: set[Inbound] = set()
        """what is open from nodes of the peer"""
        self._problems: dict[RelPath, str] = {}
        self._problems_of = ("", 0)
        """of which node, with which index: what it settled is not sent again, and so not answered"""
        options = node.options
        self.comparing = Comparing(options.compare_interval, time.monotonic() + options.compare_interval)
        self.master = self._to(peer, keys, env)
        self.delivery = Delivery(
            self.master,
            self._to(peer, keys, env, bulk=True),
            node.root,
            node.index,
            node.absorber,
            node.disk,
            node.checksum,
            node.metrics,
            node=options.node,
            count=options.spares,
            compress=peer.compress,
            bwlimit=peer.bwlimit,
            delays=lambda attempt: delay(RSYNC, attempt),
            changed=self.wake,
        )

    def _to(self, peer: PeerOptions, keys: InstalledKeys, env: dict[str, str], *, bulk: bool = False) -> Master:
        return Master(
            Peer(peer.region, peer.host, peer.port),
            keys,
            self._node.options.run_dir,
            env,
            delays=lambda attempt: delay(RECONNECT, attempt),
            changed=_bulk_changed if bulk else _state_changed,
            heard=(lambda: False) if bulk else self._heard_lately,
            bulk=bulk,
        )

    def has(self, seq: int) -> bool:
        """Has the peer confirmed everything up to `seq`?"""
        return self.outbound is not None and self.outbound.confirmed(seq)

    @property
    def told(self) -> bool:
        """Has the peer stored how far it is?"""
        return self.outbound is not None and self.outbound.told

    def _heard_lately(self) -> bool:
        return self.outbound is not None and time.monotonic() - self.outbound.heard_at < CHECK_INTERVAL

    def wake(self) -> None:
        """There may be something to send."""
        if self.outbound is not None:
            self.outbound.wake()

    def changed(self, changed: Changed, source: str) -> None:
        """A row changed here."""
        if self.outbound is not None:
            self.outbound.changed(changed, source)

    async def run(self) -> None:
        """Keep the connection and its rsyncs, and a control channel over it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.master.run(), name=f"master {self.peer.region}")
            group.create_task(self.delivery.run(), name=f"rsyncs {self.peer.region}")
            group.create_task(self._talk(), name=f"outbound {self.peer.region}")

    async def _talk(self) -> None:
        attempt = 0
        await self._node.scanned.wait()
        while True:
            await self.master.wait_up()
            await self._node.going.wait()
            await self._node.joining.decided.wait()
            began = time.monotonic()
            with self.reported():
                await self._once()
            attempt = 0 if time.monotonic() - began > STEADY else attempt
            await asyncio.sleep(delay(CHANNEL, attempt))
            attempt += 1

    async def _once(self) -> None:
        said: list[str] = []
        channel = await open_control(self.master, said.append)
        outbound = Outbound(
            self._node.me,
            self.peer.region,
            channel,
            self._node.metrics,
            sending=self._sending,
            met=self._met,
            comparing=self.comparing,
            other_way=self._way_from,
            agreed=self._agreed,
            stale=lambda rows: self._node.forgotten.mark(self.peer.region, rows),
            compress=self.peer.compress,
        )
        self.outbound = outbound
        try:
            await outbound.run()
        except* Retryable as errors:
            raise Retryable(said[-1] if said and said[-1] else _first(errors)) from None
        finally:
            if outbound.cursor >= 0:  # else it ended before hello: what was known before still holds
                self.cursor = outbound.cursor
            self.outbound = None
            if outbound.peer is not None:
                self.agreements[self._name_of(outbound.peer)] = None  # its volume may be another one when it is back
            channel.close()

    def _sending(
        self, cursor: int, say: Callable[[Frame], None], drained: Callable[[], Awaitable[None]], cut: Callable[[], None]
    ) -> Sending:
        node = self._node
        return Sending(
            node.me,
            self.peer.region,
            Outbox(cursor, node.options.large_file),
            self.delivery,
            node.metrics,
            delay=node.options.delay,
            recheck=lambda paths: node.dirty.mark(*paths),
            nowhere=node.landing.nowhere,
            say=say,
            drained=drained,
            cut=cut,
        )

    def _met(self, outbound: Outbound) -> None:
        self.problem = ""
        assert outbound.peer is not None
        if not self._node.going.is_set():  # it was being opened when the pause began
            outbound.close(PAUSED)
            return
        index = (outbound.peer.node, outbound.peer.epoch)
        if index == self._problems_of and outbound.cursor:
            outbound.problems = self._problems
        self._problems_of, self._problems = index, outbound.problems
        self.agreements.setdefault(self._name_of(outbound.peer))
        if len(self.agreements) > MAX_NODES:  # no region has so many
            del self.agreements[next(iter(self.agreements))]
        log.info("link up", peer=self.peer.region, node=outbound.peer.node, image=outbound.peer.image)
        self._node.finds.met(outbound.peer)

    def _name_of(self, hello: Hello) -> NodeName:
        return NodeName(self.peer.region, hello.node)

    def _agreed(self, agreement: Agreement, since_us: int) -> None:
        assert self.outbound is not None and self.outbound.peer is not None
        self.agreements[self._name_of(self.outbound.peer)] = agreement
        self._node.share_complete_since(since_us)

    def connected(self) -> set[NodeName]:
        """The nodes of the peer to or from which a connection is open."""
        hellos = [one.peer for one in (self.outbound, *self.incoming) if one is not None and one.peer is not None]
        return {self._name_of(hello) for hello in hellos}

    def is_on_its_way(self, path: RelPath) -> bool:
        """Is a row of this path about to be sent, or was it not answered yet?"""
        box = self.outbound.box if self.outbound is not None else None
        return box is not None and (not box.loaded or path in box.seqs)

    def _way_from(self, hello: Hello) -> Way | None:
        """From the node of this hello to us."""
        return next((one.way for one in self.incoming if one.peer is not None and one.peer.node == hello.node), None)

    def way_to(self, hello: Hello) -> Way | None:
        """From us to the node of this hello."""
        there = self.outbound
        return there.way if there is not None and there.peer is not None and there.peer.node == hello.node else None

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """What ends a control channel is told, and never ends the node."""
        try:
            yield
        except* ProtocolViolation as errors:
            self._node.metrics.violated(self.peer.region)
            self._tell(f"it broke the protocol: {_first(errors)}")
        except* (Retryable, TimeoutError) as errors:
            self._tell(_first(errors) or "it did not answer")
        except* GeorootError as errors:
            self._tell(_first(errors))
        except* Exception as errors:
            # a defect, or a peer that found one: this link begins anew, the node and its other links go on
            log.exception("a link met a defect", peer=self.peer.region)
            self._tell(f"a defect on this link: {_first(errors)!r}")

    def _tell(self, problem: str) -> None:
        if problem != self.problem and not self.ending:
            log.warning("link down", peer=self.peer.region, why=problem)
        self.problem = problem


def _state_changed(region: str, state: LinkState, problem: str) -> None:
    if state is LinkState.DOWN and problem:
        log.warning("connection down", peer=region, why=problem)
    elif state is LinkState.UP:
        log.info("connection up", peer=region)


def _bulk_changed(region: str, state: LinkState, problem: str) -> None:
    if state is LinkState.DOWN and problem:
        log.warning("connection of large files down", peer=region, why=problem)


def _first(errors: BaseExceptionGroup[Any]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
