"""Who this node is to its peers, and what it remembers of them."""

import dataclasses
from collections.abc import Callable
from typing import Final

import structlog

from sidecar.core.frames import PROTOCOL, Bye, Frame, Hello
from sidecar.core.links import Resolver
from sidecar.core.rollback import rolled_back
from sidecar.errors import ProtocolViolation, Retryable
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

CLOCK_WARNING_US: Final = 60_000_000
"""A peer's clock further off than this is reported: it decides who wins a conflict."""

CONTACT: Final = 60.0
"""Seconds that the stored time of a contact may lag while a peer is heard, at most."""
_SHARE: Final = 0.01
"""Of what depends on that time it may lag so much, at most."""


def _nobody() -> None:
    return None


@dataclasses.dataclass(slots=True)
class Identity:
    """This node: names, versions, its index, and the clock in µs."""

    region: str
    node: str
    image: str
    rsync: str
    index: Index
    resolver: Resolver
    now_us: Callable[[], int]
    found_done: bool = False
    """everything that the first scan found has a version"""
    joins: bool = False
    """until then: the others say what they have before this node does"""
    renewed: Callable[[], None] = _nobody
    """called when a new epoch began: all links are to greet anew"""
    rollbacks: int = 0
    clock_off_us: dict[str, int] = dataclasses.field(default_factory=dict)
    protocols: dict[str, int] = dataclasses.field(default_factory=dict)
    """what the peers spoke in their last hello, understood or not"""
    contact_us: int = 0
    """how far the stored time of a contact may lag, see `contact_lag_us`"""
    _stored: dict[tuple[str, str], tuple[int, int]] = dataclasses.field(default_factory=dict)
    """the seq that was stored of each node last, and when (µs)"""

    @property
    def epoch(self) -> int:
        """The random number made with the index."""
        return self.index.epoch

    def hello(self, peer: Hello | None = None) -> Hello:
        """What is said to a peer; to a node that spoke first, with the cursor that we stored of its rows."""
        known = self.index.peer(peer.region, peer.node) if peer is not None else None
        same = known is not None and peer is not None and known.epoch == peer.epoch
        return Hello(
            protocol=PROTOCOL,
            region=self.region,
            node=self.node,
            epoch=self.epoch,
            run=self.index.run,
            image=self.image,
            rsync=self.rsync,
            now_us=self.now_us(),
            seq=self.index.max_seq(),
            cursor=known.cursor if same and known is not None else 0,
            seen_epoch=known.epoch if known is not None else 0,
            seen_run=known.run if known is not None else 0,
            seen_seq=known.seq if known is not None else 0,
            complete_since=self.index.complete_since_us,
            new_index=self.index.new_index,
            joins=self.joins and self.index.new_index,
            inflates=True,
            encloses=True,
            renames=True,
        )

    def greeted(self, frame: Frame | None, region: str) -> Hello:
        """The hello of a peer, as `check_hello`; which protocol it speaks is remembered in any case."""
        if isinstance(frame, Hello) and frame.region == region:
            self.protocols[region] = frame.protocol
        return check_hello(frame, region)

    def check_rollback(self, peer: Hello) -> None:
        """A peer that has seen more of us than we know of proves that our volume was set back: a new epoch begins.

        Raises:
            Retryable: it did; every peer is to be greeted anew.
        """
        if peer.seen_epoch != self.epoch:
            return
        runs = [(run.run, run.first_seq) for run in self.index.runs()]
        if not rolled_back(runs, self.index.max_seq(), peer.seen_run, peer.seen_seq):
            return
        self.rollbacks += 1
        self.index.renew_epoch(self.now_us())
        self.index.sync()
        log.warning("this volume was set back to an older state: the regions compare everything", told_by=peer.region)
        self.renewed()
        raise Retryable("this volume was set back to an older state: a new epoch begins")

    def met(self, peer: Hello) -> None:
        """A node said hello: remembered with its epoch; a new epoch forgets what we had settled of the old one."""
        self._stored.pop((peer.region, peer.node), None)
        self.index.meet(peer.region, peer.node, peer.epoch, peer.run, peer.seq, self.now_us())
        self.peer_clock(peer.region, peer.now_us)

    def heard_of(self, peer: Hello, seq: int) -> None:
        """The peer says that it has given the seq `seq`: what it must still know of when it comes back. That it lives
        alone is stored now and then: nothing else would be written to the index of an idle node."""
        now_us, (stored, at_us) = self.now_us(), self._stored.get((peer.region, peer.node), (-1, 0))
        if seq == stored and abs(now_us - at_us) < self.contact_us:
            return
        self.index.heard(peer.region, peer.node, seq, now_us)
        self._stored[peer.region, peer.node] = seq, now_us

    def settled_of(self, peer: Hello, cursor: int) -> None:
        """The peer says that we settled its rows up to `cursor`."""
        self.index.set_cursor(peer.region, peer.node, peer.epoch, cursor)

    def peer_clock(self, region: str, now_us: int) -> None:
        """The time that a frame of a peer named."""
        off = now_us - self.now_us()
        was = self.clock_off_us.get(region, 0)
        self.clock_off_us[region] = off
        if abs(off) > CLOCK_WARNING_US >= abs(was):
            log.warning("the clocks differ: the later write wins a conflict", peer=region, seconds=off // 1_000_000)


def contact_lag_us(*limits: float) -> int:
    """How far the stored time of a contact may lag (µs), where these limits depend on it (seconds)."""
    return round(1e6 * min(CONTACT, *(_SHARE * limit for limit in limits)))


def check_hello(frame: Frame | None, region: str) -> Hello:
    """The hello of a peer.

    Raises:
        Retryable: the link was cut instead, or the versions do not fit. ProtocolViolation: it is another region's.
    """
    if frame is None:
        raise Retryable(f"{region} closed the link before it said hello")
    if isinstance(frame, Bye):
        raise Retryable(f"{region} refused the link: {frame.reason}")
    if not isinstance(frame, Hello):
        raise ProtocolViolation(f"{region} began with a {type(frame).__name__}")
    if frame.region != region:
        raise ProtocolViolation(f"the key of {region} was used by a node that calls itself {frame.region!r}")
    if abs(frame.protocol - PROTOCOL) > 1:
        raise Retryable(f"{region} speaks protocol {frame.protocol}, this node {PROTOCOL}: upgrade the older one")
    return frame
