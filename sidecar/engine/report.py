"""How the node is, read off its parts: the one `Status` that page, metrics, file and command share."""

import time
from collections.abc import Iterator
from typing import Final

from sidecar.core.compare import BUCKETS
from sidecar.core.entry import Kind, Row
from sidecar.core.frames import PROTOCOL, Lane
from sidecar.core.paths import shown
from sidecar.engine.comparing import MOST_LEFT_OUT
from sidecar.engine.events import too_many_events
from sidecar.engine.identity import CLOCK_WARNING_US
from sidecar.engine.link import Link
from sidecar.engine.links import Links
from sidecar.engine.node import Node, now_us
from sidecar.engine.status import (
    HoldStatus,
    NodeState,
    PathProblem,
    PeerStatus,
    ScanStatus,
    Status,
    StoreStatus,
    WatchStatus,
)
from sidecar.fs import limits
from sidecar.index.peers import Forgotten
from sidecar.link.sshd import Sshd

LISTED: Final = 100
"""Problems of single paths that a status lists; it counts all."""
WATCHES_SHORT: Final = 0.8
"""Share of the limit on watches from which on it is a warning."""
OVERFLOW_TOLD: Final = 86_400.0
"""Seconds for which lost events are a warning."""
FULL: Final = 1 << 20
"""Bytes free on the volume below which it counts as full: the index alone wants that much for a burst."""

DAMAGED: Final = (
    "its bytes changed though nobody wrote it",
    "it waits for the copy of another region; look at the disk",
)


class Reporter:
    """Makes the status.

    Args:
        layout: as in the settings, for people.
    """

    def __init__(self, node: Node, links: Links, sshd: Sshd, layout: str) -> None:
        self._node = node
        self._links = links
        self._sshd = sshd
        self._layout = layout
        self._started = time.monotonic()
        self.draining = False

    def status(self) -> Status:
        """The node as it is now."""
        node, options = self._node, self._node.options
        problems = self._problems()
        state = self._state()
        alive = not node.events.root_lost
        return Status(
            region=options.region,
            node=options.node,
            image=options.image,
            protocol=PROTOCOL,
            state=state,
            paused=not node.going.is_set(),
            ready=alive and state not in (NodeState.STARTING, NodeState.SCANNING),
            alive=alive,
            uptime=time.monotonic() - self._started,
            root=options.root,
            layout=self._layout,
            exclude=options.exclude,
            waits_for=tuple(node.finding.waits_for()) if state is NodeState.FINDING else (),
            pending_local=len(node.dirty.paths) + len(node.dirty.later),
            warnings=tuple(self._warnings()),
            holds=tuple(
                HoldStatus(hold.kind.value, hold.why, hold.paths, time.time() - hold.since)
                for hold in self._node.holds.active.values()
            ),
            problems=tuple(problems[:LISTED]),
            problem_count=len(problems),
            forgotten=len(self._forgotten()),
            scan=self._scan(),
            watch=self._watch(),
            store=self._store(),
            peers=tuple(self._peer(link) for link in self._links.links.values()),
        )

    def _state(self) -> NodeState:
        if self.draining:
            return NodeState.DRAINING
        if not self._node.scanned.is_set():
            return NodeState.SCANNING if self._node.scans.running else NodeState.STARTING
        return NodeState.RUNNING if self._node.me.found_done else NodeState.FINDING

    def _scan(self) -> ScanStatus:
        last, at = self._node.scans.last, self._node.scans.ended_at
        if last is None:
            return ScanStatus(self._node.scans.running, -1.0, 0.0, 0, 0, 0)
        age = time.monotonic() - at
        return ScanStatus(self._node.scans.running, age, last.seconds, last.files, last.differing, last.special)

    def _watch(self) -> WatchStatus:
        watcher, events, polling = self._node.watcher, self._node.events, self._node.polling
        limit = limits.watches()
        return WatchStatus(
            directories=len(watcher),
            limit=limit.value,
            sysctl=limit.sysctl,
            unwatched=len(watcher.unwatched),
            overflows=events.overflows,
            overflow_age=time.monotonic() - events.overflowed_at if events.overflows else -1.0,
            poll_interval=polling.interval,
            polling=polling.network,
        )

    def _store(self) -> StoreStatus:
        index = self._node.index
        counts = index.counts()
        return StoreStatus(
            files=counts[Kind.FILE],
            directories=counts[Kind.DIR],
            symlinks=counts[Kind.SYMLINK],
            tombstones=counts[Kind.TOMBSTONE],
            seq=index.max_seq(),
            trash=index.trash_count(),
            trash_bytes=index.trash_bytes(),
            conflicts=index.conflict_count(),
            free_bytes=self._node.root.free_bytes(),
            complete_since=index.complete_since_us / 1e6,
        )

    # -- peers

    def _peer(self, link: Link) -> PeerStatus:
        outbound, node = link.outbound, self._node
        box = outbound.box if outbound is not None else None
        incoming = [one.peer for one in link.incoming if one.peer is not None]
        hello = (outbound.peer if outbound is not None else None) or next(iter(incoming), None)
        cursor = box.cursor if box is not None else link.cursor
        off = node.me.clock_off_us.get(link.peer.region)
        return PeerStatus(
            region=link.peer.region,
            address=f"{link.peer.host}:{link.peer.port}",
            state="up" if box is not None else ("connecting" if link.master.up else link.master.state.value),
            problem="" if box is not None else (link.master.problem or link.problem),
            receiving=bool(incoming),
            node=hello.node if hello is not None else "",
            image=hello.image if hello is not None else "",
            rsync=hello.rsync if hello is not None else "",
            pending=len(box.seqs) if box is not None else self._behind(cursor),
            in_flight=sum(box.in_flight(lane) for lane in Lane) if box is not None else 0,
            lag=0.0 if box is not None and box.idle else self._lag(cursor),
            clock_off=off / 1e6 if off is not None else 0.0,
            last_contact=self._last_contact(link),
            protocol=node.me.protocols.get(link.peer.region, 0),
            compared=time.monotonic() - link.comparing.at if link.comparing.at is not None else -1.0,
            differing=len(link.comparing.buckets),
            offered_anew=link.comparing.offered,
        )

    def _last_contact(self, link: Link) -> float:
        """Seconds since the peer was heard, -1: never. Of what lives the index is told now and then."""
        living = [one for one in (link.outbound, *link.incoming) if one is not None and one.peer is not None]
        if living:
            return time.monotonic() - max(one.heard_at for one in living)
        contacts = [peer.contact_us for peer in self._node.index.peers() if peer.region == link.peer.region]
        return max(0.0, (now_us() - max(contacts)) / 1e6) if contacts else -1.0

    def _behind(self, cursor: int) -> int:
        return self._node.index.count_since(cursor) if cursor >= 0 else -1

    def _lag(self, cursor: int) -> float:
        rows = self._node.index.since(cursor, 1) if cursor >= 0 else []
        return max(0.0, (now_us() - _written(rows[0])) / 1e6) if rows else (-1.0 if cursor < 0 else 0.0)

    def _forgotten(self) -> list[Forgotten]:
        """The nodes that are, unless another one took their place in their region."""
        known = {peer.region for peer in self._node.index.peers()}
        return [one for one in self._node.index.forgotten() if one.region in self._links.links.keys() - known]

    # -- what is wrong

    def _problems(self) -> list[PathProblem]:
        intake = self._node.intake
        found = [PathProblem(shown(path) or ".", trouble.why, trouble.hint) for path, trouble in intake.unreadable()]
        found += [PathProblem(shown(path), "not applied", hint) for path, hint in self._node.unapplied.paths.items()]
        found += [PathProblem(shown(path), *DAMAGED) for path in self._node.checksum.still_damaged()]
        for link in self._links.links.values():
            if link.outbound is not None:
                there = link.outbound.problems.items()
                found += [PathProblem(shown(p), "not applied there", hint, link.peer.region) for p, hint in there]
        return found

    def _warnings(self) -> list[str]:
        return [said for said in (*self._of_the_node(), *self._of_the_watch(), *self._of_the_peers()) if said]

    def _of_the_node(self) -> Iterator[str]:
        node = self._node
        if node.events.root_lost:
            yield "the web root was moved, deleted or unmounted: mount it again and restart the sidecar"
        if node.joining.waits:
            yield "what was found here waits for `sidecar join`: nothing is sent, and nothing of a peer is applied"
        if node.intake.problem:
            yield f"changes cannot be taken up: {node.intake.problem}"
        if node.landing.problem:
            yield f"what comes from peers cannot be stored: {node.landing.problem}"
        yield from (waits.problem for waits in node.patience)
        if 0 <= node.root.free_bytes() < FULL:
            yield "no space left on the volume: what comes from peers waits until there is"
        if not self._sshd.listening:
            yield "sshd does not listen: peers cannot reach this node"
        if node.index.set_aside:
            yield f"the index was damaged and is built anew from the web root: {node.index.set_aside} is the old one"
        if node.me.rollbacks:
            yield "this volume was set back to an older state: the regions have compared everything since"
        yield node.rootwatch.uid_mismatch

    def _of_the_watch(self) -> Iterator[str]:
        watch = self._watch()
        limit, every = limits.Limit(watch.sysctl, watch.limit).raised, f"every {watch.poll_interval:g} s or less often"
        if watch.unwatched:
            yield f"{watch.unwatched} directories have no watch and are polled {every}: {limit}"
        elif 0 <= WATCHES_SHORT * watch.limit < watch.directories:
            yield f"{watch.directories} watches are taken, the limit is near: {limit}"
        if 0 <= watch.overflow_age < OVERFLOW_TOLD:
            yield f"events were lost {watch.overflows} times, a scan looks for what they told: {too_many_events()}"
        if watch.polling:
            yield f"the web root lies on {watch.polling}: what other machines write is seen by scans, {every}"

    def _of_the_peers(self) -> Iterator[str]:
        for gone in self._forgotten():
            days = (gone.at_us - gone.contact_us) / 86_400e6
            yield f"{gone.region}/{gone.node} is forgotten after {days:.0f} days: what it brings back may be held"
        for region, off in self._node.me.clock_off_us.items():
            if abs(off) > CLOCK_WARNING_US:
                yield f"the clock of {region} is {off / 1e6:+.0f} s off: the later write wins a conflict"
        for link in self._links.links.values():
            if link.delivery.problem:
                yield f"rsync to {link.peer.region}: {link.delivery.problem}"
            if link.delivery.bulk_problem and link.master.up:
                yield f"the connection of large files to {link.peer.region}: {link.delivery.bulk_problem}"
            if link.comparing.hindered:
                left_out = f"more than {MOST_LEFT_OUT} paths are excluded, held or refused by one of the two alone"
                yield f"the index is not compared with that of {link.peer.region}: {left_out}; is `exclude` the same?"
            if link.comparing.lasts:
                parts = f"in {len(link.comparing.buckets)} of {BUCKETS} parts"
                yield f"the index differs from that of {link.peer.region} {parts}: `sidecar verify` lists the paths"


def _written(row: Row) -> int:
    return max((head.dot.counter for head in row.version.heads), default=now_us())
