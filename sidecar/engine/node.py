"""One node: its index, its web root, its watch, and its links; started and stopped as one."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable

from sidecar.core import ageing, ignore
from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.frames import Frame, Renamed
from sidecar.core.links import Resolver
from sidecar.core.paths import RelPath
from sidecar.engine.absorb import Absorber
from sidecar.engine.ahead import Ahead
from sidecar.engine.answering import Answerer
from sidecar.engine.checksum import Checksum
from sidecar.engine.comparing import Way
from sidecar.engine.dirty import Dirty
from sidecar.engine.disk import RootDisk
from sidecar.engine.durability import Durability
from sidecar.engine.events import Events
from sidecar.engine.finds import Finds
from sidecar.engine.forgotten import Forgotten
from sidecar.engine.holds import Holds
from sidecar.engine.housekeeping import YOUNG_US, Housekeeping
from sidecar.engine.identity import Identity, contact_lag_us
from sidecar.engine.inbox import Inbox
from sidecar.engine.intake import Intake
from sidecar.engine.joining import Joining
from sidecar.engine.judging import Judge
from sidecar.engine.landing import Landing
from sidecar.engine.listeners import Listeners
from sidecar.engine.moving import Moving
from sidecar.engine.nowhere import Nowhere
from sidecar.engine.offers import Finding
from sidecar.engine.options import Options
from sidecar.engine.partials import Partials
from sidecar.engine.patience import Patience
from sidecar.engine.polling import Polling
from sidecar.engine.recover import Recovery
from sidecar.engine.replica import Dots, Replica
from sidecar.engine.rootwatch import RootWatch
from sidecar.engine.scans import Scans
from sidecar.engine.status import HoldKind
from sidecar.engine.unapplied import Unapplied
from sidecar.engine.unlisted import Unlisted
from sidecar.engine.watching import Watching
from sidecar.fs import durable, grain
from sidecar.fs.root import WebRoot
from sidecar.fs.watch import Watcher
from sidecar.index.store import Index
from sidecar.metrics import Metrics


def now_us() -> int:
    """Unix time in µs."""
    return time.time_ns() // 1000


class Node:
    """Everything of a node but its links: what watches, absorbs, scans, lands and keeps.

    Args:
        rsync: the version of rsync here.

    Raises:
        NeedsHelp: the file system takes no trial file.
    """

    def __init__(
        self,
        options: Options,
        root: WebRoot,
        index: Index,
        metrics: Metrics,
        rsync: str,
    ) -> None:
        self.options = options
        self.root = root
        self.index = index
        self.metrics = metrics
        self.listeners = Listeners()
        self.listeners.on_changed(lambda changed, _source: metrics.row_written(local=changed.local))
        self.excluded = ignore.excluder(options.exclude)
        index.set_scope(ageing.scope_of(options.exclude, options.served_at, links_outside=options.links_outside))
        self.resolver = Resolver(self._link_at, options.served_at.encode())
        self.me = Identity(options.region, options.node, options.image, rsync, index, self.resolver, now_us)
        self.me.contact_us = contact_lag_us(options.tombstone_keep, options.forget_after)
        self.durability = Durability(self._flush)
        self.disk = RootDisk(
            root,
            index,
            excluded=self.excluded,
            open_wait=options.open_wait,
            now_us=now_us,
            touched=self.durability.touched,
        )
        grain_ns = grain.clock_grain_ns(root)
        self.replica = Replica(index, self.disk, Dots(index.run, now_us), self.listeners.changed, grain_ns)
        self.holds = Holds(
            index,
            os.path.join(options.state, "holds"),
            regions=[peer.region for peer in options.peers],
            scan_limit=options.hold_deletions,
            change_limit=options.hold_changes,
            trash_room=self._trash_room,
            released=self._released,
        )
        self.absorber = Absorber(self.replica, self.holds.withheld, self.excluded)
        self._recovery = Recovery(self.replica, root, index, self.disk.keeping.trash_name, now_us)
        self.unapplied = Unapplied()
        self.joining = Joining(
            index,
            os.path.join(options.state, "join"),
            asked=options.found_join,
            excluded=self.excluded,
            now_us=now_us,
            released=self._decided,
        )
        self.me.joins = options.found_join
        self.finding = Finding(options.region, [peer.region for peer in options.peers], options.found_join)
        self.partials = Partials(root, index, options.inbox)
        self.inbox = Inbox(root, self.partials)
        self.landing = Landing(
            self.me,
            root,
            self.disk,
            self.replica,
            self.absorber,
            self.durability,
            excluded=self.excluded,
            links_outside=options.links_outside,
            joining=self.joining,
            held=self.holds.change,
            rejects=self.holds.rejects,
            last=self.finding.last,
            waits=self.finding.wait,
            recover=self._recovery.run,
            rows_lost=self.listeners.rows_lost,
            nowhere=Nowhere(self.replica, options.region, tuple(peer.region for peer in options.peers)),
            in_order=self._in_order,
            attribute=self._attribute,
            trouble=self.unapplied.tried,
        )
        self.forgotten = Forgotten(index, self.replica, self.absorber, self.landing, self.holds)
        self.checksum = Checksum(root, index)
        self.watcher = Watcher(root, self.excluded)
        self.dirty = Dirty()
        self.events = Events(
            root,
            self.watcher,
            self.dirty,
            metrics,
            excluded=self.excluded,
            scan_soon=self.scan_soon,
            arrived=self.inbox.arrived,
        )
        self.unlisted = Unlisted(root, self.excluded, self.scan_soon)
        self.intake = Intake(
            root,
            index,
            self.absorber,
            self.dirty,
            self.unlisted,
            mend=self.landing.mend,
            rows_lost=self.listeners.rows_lost,
        )
        self.scanned = asyncio.Event()
        """the first scan is over"""
        ahead = Ahead(
            index,
            self.landing,
            self.holds,
            self.joining,
            self.dirty,
            self.events,
            attribute=self._attribute,
            scanned=self.scanned.is_set,
        )
        self.moving = Moving(
            self.replica,
            index,
            Judge(self.replica, disturbed=ahead.disturbed),
            commits=ahead.commits,
            allowed=ahead.allowed,
            tellers=self.listeners.tellers,
            look_again=lambda paths: self.dirty.mark(*paths),
        )
        self.listeners.on_changed(lambda changed, _source: self.moving.changed(changed.row))
        self.watching = Watching(
            root,
            index,
            self.dirty,
            self.events,
            self.absorber,
            self.intake,
            self.disk,
            self.unlisted,
            self.moving,
            absorbed=self.listeners.woken,
            resolver=self.resolver,
        )
        self.housekeeping = Housekeeping(
            root,
            index,
            self.dirty,
            self.partials,
            trash_keep=options.trash_keep,
            trash_max=options.trash_max,
            racy=grain_ns > 0,
            now_us=now_us,
            expired=self.holds.look_again,
        )
        scans, finds, looks, roots = self.patience = (
            Patience("the scan"),
            Patience("what the first scan found"),
            Patience("the look at what has no watch"),
            Patience("the look at the web root"),
        )
        """what waits for space, or for a disk that works"""
        network = root.needs_polling() or ""
        self.rootwatch = RootWatch(root, roots, network=bool(network))
        self.finds = Finds(
            self.me,
            index,
            root,
            self.disk,
            self.replica,
            self.absorber,
            self.intake,
            self.finding,
            self.joining,
            finds,
            committed=self.landing.committed,
            found_now=options.found_now,
            ask_anew=self._ask_anew,
            settled=self.listeners.woken,
        )
        self.scans = Scans(
            root,
            index,
            self.watcher,
            self.dirty,
            self.unlisted,
            self.watching,
            self.finds,
            self.holds,
            metrics,
            scans,
            excluded=self.excluded,
            pause=self._scan_pause,
            quiet=bool(network),
        )
        self.polling = Polling(
            self.watcher,
            self.scans.scanner,
            self.dirty,
            self.unlisted,
            self.watching,
            looks,
            interval=options.poll_interval,
            network=network,
            scanning=lambda: self.scans.running or not self.scanned.is_set(),
            missed=self.scans.missed,
        )
        self.going = asyncio.Event()
        """it sends and receives; cleared: it is paused"""

    # -- start

    async def recover(self) -> None:
        """Finish what a kill interrupted: before anything else looks at the root."""
        self._recovery.run()
        self.moving.recover()
        self._recovery.release_conflicts()
        self._recovery.list_unlisted()
        self.partials.begin()
        self._recovery.clean_inbox()

    async def first_scan(self) -> None:
        """Watch, then compare the whole root with the index; what a new index meets is found, not written."""
        await self.scans.patience.through(self.recover)
        await self.scans.patience.through(self.finds.doubt)
        self.watcher.watch_inbox()
        self.events.start()
        await self.scans.first()
        self.finds.scanned()
        self.scanned.set()
        self.listeners.woken()

    # -- loops

    async def watch(self) -> None:
        """Take up what is written here; not before the first scan has told it from what is only found."""
        if self.index.finding:
            await self.scanned.wait()
        await self.watching.run()

    async def find(self) -> None:
        """Settle what was found."""
        await self.scanned.wait()
        await self.finds.run()

    async def scan(self) -> None:
        """The first scan, then one whenever events were lost and at every interval."""
        await self.first_scan()
        await self.scans.run()

    def _scan_pause(self, took: float) -> float:
        pause = self.options.scan_interval
        return min(pause, self.polling.pause(took)) if self.polling.network else pause

    def scan_soon(self) -> None:
        """Look at everything: events may have missed something."""
        self.scans.soon()

    # -- what was found

    def offers_end(self, region: str) -> None:
        """A peer has offered everything it has."""
        if self.joining.waits:
            self.joining.compared_all(region)
            return
        self.holds.offered(region)
        self.finds.offered(region)

    # -- ports and callbacks

    def answerer(self, ways: Callable[[], list[Way]], say: Callable[[Frame], None]) -> Answerer:
        """What answers the questions of one peer."""
        return Answerer(self.me, self.excluded, self.checksum, ways=ways, say=say)

    def renamed(self, region: str, frame: Renamed) -> None:
        """A directory was renamed at a peer."""
        self.moving.heard(region, frame, self.landing.lander(region).refused)

    def share_complete_since(self, us: int) -> None:
        """A node with the same index has dropped tombstones up to then (µs since 1970): what is as old and not here may
        have been deleted. Not more than this node would drop itself: no peer makes it hold what is young, or was
        written by a node that is away."""
        contacts = (peer.contact_us for peer in self.index.peers())
        own = ageing.before_us(now_us(), round(self.options.tombstone_keep * 1e6), contacts)
        self.index.set_complete_since(min(us, own))

    async def _in_order(self, paths: Iterable[RelPath]) -> None:
        await self.watching.in_order(paths)

    def _trash_room(self, size: int) -> bool:
        """May so many bytes more go to the trash? What is above the limit goes when it is an hour old, not before."""
        if self.index.trash_bytes() + size <= self.options.trash_max:
            return True
        oldest = self.index.oldest_trash(1)
        return bool(oldest) and now_us() - oldest[0].at_us > YOUNG_US

    def _released(self, kind: HoldKind) -> None:
        """What a hold held back is looked at, or asked for, anew."""
        if kind is HoldKind.SCAN:
            self.scan_soon()
            return
        self._ask_anew()

    def _ask_anew(self) -> None:
        self.index.ask_anew()
        self.listeners.cursors_forgotten()

    def _decided(self) -> None:
        """What a join put off is to come again."""
        self.finds.look_again()
        self.listeners.cursors_forgotten()

    def _attribute(self, region: str) -> None:
        self.listeners.source = region
        self.disk.keeping.source = region

    def _link_at(self, path: RelPath) -> bytes | None:
        row = self.index.get(path)
        best = versions.winner(row.version) if row is not None else None
        return best.target if best is not None and best.kind is Kind.SYMLINK else None

    def _flush(self, paths: list[RelPath]) -> None:
        durable.make_durable(self.root, paths)
        self.index.sync()
