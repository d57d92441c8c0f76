"""The order in which one peer hears of changes: which batch may go next.

The sender alone orders, over what the peer has not yet settled; seq does not tell, because a path that changes again
moves up. A visitor who follows a symlink at the peer must never meet a hole or a mix:

- ancestors go before what lies in them, then everything goes as it was made;
- a symlink goes when all that is unsettled at or beneath its target is settled or ahead of it in the small lane;
- a deletion goes when every symlink that is unsettled is settled or ahead of it, and deepest first;
- large files have a lane of their own; only what points at them waits for them.

"Ahead" is not "there": what waited names the lowest lane number it leans on, and the receiver checks. Needs that turn
in a ring (a symlink beneath its own target) are met by travelling in one batch.
"""

from collections.abc import Container

from sidecar.core import paths
from sidecar.core.entry import Kind
from sidecar.core.frames import Lane
from sidecar.core.item import NOTHING, Item, Plan, Planned
from sidecar.core.links import Resolver
from sidecar.core.offering import send_deferred
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.core.replaced import MOST
from sidecar.core.rounds import Round


def next_small(
    box: Outbox, resolver: Resolver, now: float, limit: int, limit_bytes: int, largest: int | None = None
) -> Plan | None:
    """The next batch of the small lane: about `limit` entries and `limit_bytes` of content at most; it ends before the
    first file of more than `largest` bytes, unless something before that needs such a one."""
    if not box.loaded:
        return None  # what is not known yet cannot go first
    planned = _Chooser(box, resolver, now, limit, limit_bytes, largest).run() if box.live else []
    return box.launch(Lane.SMALL, planned) if planned else None


def next_content(box: Outbox, now: float) -> Item | None:
    """The first file whose content may go in the small lane now."""
    may_go = (i for i in box.live.values() if i.stage and i.not_before <= now and not (i.alone or box.is_large(i)))
    return next(may_go, None)


def next_alone(box: Outbox, now: float, busy: Container[Lane] = ()) -> Plan | None:
    """The next file that travels alone: a large one, one from a private copy, or one at which rsync fails;
    its directories are settled, and its lane is not `busy` with another such file."""
    if not box.loaded:
        return None
    for item in box.going_alone():
        large = box.is_large(item)
        if item.not_before > now or item.path in box.large_ahead:
            continue
        lane = Lane.LARGE if large else Lane.SMALL
        dead = box.graves.beneath(item.path) if box.over_graves(item) else []
        for path in dead:
            box.promote(path)  # it does not wait for symlinks, which may wait for this
        if lane not in busy and not dead and not box.unsettled_above(item.path):
            return box.launch(lane, [Planned(item)])
    return None


class _Chooser:
    """Chooses the entries of one small batch; lives for one call."""

    def __init__(
        self, box: Outbox, resolver: Resolver, now: float, limit: int, limit_bytes: int, largest: int | None
    ) -> None:
        self._box = box
        self._resolver = resolver
        self._now = now
        self._room = limit
        self._bytes = limit_bytes
        self._largest = largest
        self._number = box.next_number(Lane.SMALL)
        self._chosen: dict[RelPath, Planned] = {}
        self._refused: set[RelPath] = set()
        self._visiting: set[RelPath] = set()
        self._unsettled: list[RelPath] | None = None
        self._links: int | None = self._number
        self._links_asked = False

    def run(self) -> list[Planned]:
        for item in list(self._box.live.values()):
            if self._full or self._too_large(item):
                break
            self._choose(item)
        return list(self._chosen.values())

    @property
    def _full(self) -> bool:
        return self._room <= 0 or self._bytes <= 0

    def _too_large(self, item: Item) -> bool:
        if self._largest is None or not item.stage or item.size <= self._largest:
            return False
        return item.not_before <= self._now and not self._alone(item)

    def _choose(self, item: Item) -> bool:
        """Put `item` and all that must go before it into the batch; False if it has to wait."""
        if item.path in self._chosen or item.path in self._visiting:
            return True
        instead = self._box.replacing(item.path) if item.kind is Kind.TOMBSTONE else None
        along = instead is not None and instead.path in self._visiting and self._whole(instead)
        if item.path in self._refused or (self._full and not along):
            return False
        if item.not_before > self._now or self._alone(item):
            return False
        if instead is not None and instead.path not in self._visiting and not self._alone(instead):
            return self._choose(instead)  # which brings this deletion along, before it
        self._visiting.add(item.path)
        leans = self._needs(item)
        self._visiting.discard(item.path)
        if leans is None:
            self._refused.add(item.path)
            self._leave_dead(item)
            return False
        self._chosen[item.path] = Planned(item, leans)
        self._room -= 1
        self._bytes -= item.size if item.stage else 0
        left = self._box.live.get(item.came_from) if item.came_from is not None else None
        if left is not None and left.kind is Kind.TOMBSTONE:
            self._choose(left)  # in the same batch the peer renames instead of copying
        return True

    def _needs(self, item: Item) -> int | None:
        """Choose what must go first: the lowest number then leaned on, or None if something of it cannot go now."""
        if item.kind is not Kind.TOMBSTONE and not self._directories_first(item.path):
            return None
        leans: int | None = NOTHING
        if item.kind is Kind.SYMLINK:
            leans = self._target_first(item)
        if leans is not None and item.kind is not Kind.DIR:
            leans = _lowest(leans, self._deletions_beneath(item.path))
        if leans is not None and item.kind is Kind.TOMBSTONE and self._box.replacing(item.path) is None:
            leans = _lowest(leans, self._symlinks_first())
        return leans

    def _whole(self, item: Item) -> bool:
        """Does all that dies beneath it land in one step with it? Then it goes in one batch, however full that is."""
        return self._box.over_graves(item) and len(self._box.graves.beneath(item.path)) <= MOST

    def _leave_dead(self, item: Item) -> None:
        """It has to wait, and so do the deletions beneath it that were chosen to go with it."""
        if self._whole(item):
            for dead in self._box.graves.beneath(item.path):
                self._room += self._chosen.pop(dead, None) is not None

    def _alone(self, item: Item) -> bool:
        return self._box.is_large(item) or item.alone

    def _directories_first(self, path: RelPath) -> bool:
        for above in self._box.unsettled_above(path):
            waiting = self._box.live.get(above) or self._box.promote(above)
            if waiting is None:
                if above not in self._box.ahead:
                    return False
            elif waiting.kind is not Kind.TOMBSTONE and not self._choose(waiting):
                return False
        return True

    def _deletions_beneath(self, path: RelPath) -> int | None:
        """The lowest number that brings one of them, None if one cannot go: what the peer has not deleted when `path`
        comes lives on there, and the directory with it."""
        leans = NOTHING
        for dead in self._box.graves.beneath(path):
            waiting = self._box.live.get(dead) or self._box.promote(dead)
            if waiting is None:
                if dead not in self._box.ahead:
                    return None
                number = self._box.ahead[dead][0]
            elif self._choose(waiting):
                number = self._number
            else:
                return None
            leans = min(leans or number, number)
        return leans

    def _target_first(self, link: Item) -> int | None:
        leans = NOTHING
        for target in self._resolver.targets(link.path, link.target) or ():
            for path in self._unsettled_within(target):
                needed = self._there(path)
                if needed is None:
                    return None
                leans = min(leans or needed, needed or leans)
        return leans

    def _there(self, path: RelPath) -> int | None:
        """The number that brings `path`, NOTHING if it needs not be waited for, None if it cannot be said yet."""
        waiting = self._box.live.get(path) or self._box.promote(path)
        if waiting is None:
            return self._box.ahead[path][0] if path in self._box.ahead else None
        if waiting.kind is Kind.TOMBSTONE or waiting.busy or path in self._visiting:
            return NOTHING
        return self._number if self._choose(waiting) else None

    def _unsettled_within(self, target: RelPath) -> list[RelPath]:
        if self._unsettled is None:
            self._unsettled = sorted(self._box.seqs)
        return paths.within(self._unsettled, target)

    def _symlinks_first(self) -> int | None:
        """Once a batch: choose every symlink that waits; the lowest number that brings one, None if one cannot go."""
        if not self._links_asked:
            self._links_asked = True
            self._links = self._all_symlinks()
        return self._links

    def _all_symlinks(self) -> int | None:
        if not self._box.rounds.unsettled(Round.SYMLINKS):
            send_deferred(self._box)
        if self._box.rounds.unsettled(Round.SYMLINKS):
            return None
        leans = min((n for n, kind in self._box.ahead.values() if kind is Kind.SYMLINK), default=NOTHING)
        for link in [i for i in self._box.live.values() if i.kind is Kind.SYMLINK and not i.busy]:
            if not self._choose(link):
                return None
            leans = leans or self._number
        return leans


def _lowest(leans: int, needed: int | None) -> int | None:
    """The lower of two numbers leaned on; None if what is `needed` cannot go now."""
    return min(leans or needed, needed or leans) if needed is not None else None
