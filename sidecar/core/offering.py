"""What one peer is offered next: it may have it, and asks for what it lacks.

Rows go in rounds, content before the symlinks that lead to it, deletions last: a round starts when the peer has settled
all of the one before.
"""

import heapq
import itertools

from sidecar.core import paths
from sidecar.core.entry import Kind
from sidecar.core.frames import Lane
from sidecar.core.item import NOTHING, Item, Plan, Planned
from sidecar.core.links import Resolver
from sidecar.core.outbox import Outbox
from sidecar.core.paths import RelPath
from sidecar.core.replaced import MOST
from sidecar.core.rounds import Round


def next_offer(box: Outbox, resolver: Resolver, limit: int) -> Plan | None:
    """The next rows to offer, `limit` at most; a round starts when all of the one before is settled.

    What replaces a directory, and symlinks that lead over it, go in the last round: live, so that they go in order, and
    with the deletions beneath, so that the peer has no hole there.
    """
    if not box.loaded:
        return None
    for turn in Round:
        if turn is Round.SYMLINKS:
            _defer_links(box, resolver)
        elif turn is Round.TOMBSTONES:
            send_deferred(box)
            if box.awaits_symlinks():
                return None
        while box.rounds.waiting[turn]:
            chosen = _first(box, turn, limit)
            planned = _planned(box, resolver, turn, chosen)
            if planned:
                return box.launch(Lane.OFFER, planned)
            if not chosen or turn is Round.SYMLINKS:
                return None
        if box.rounds.unsettled(turn):
            return None
    return None


def _first(box: Outbox, turn: Round, limit: int) -> list[Item]:
    """What is offered next of a round: directories before what lies in them, deletions deepest first."""
    waiting = box.rounds.waiting[turn].values()
    if turn is Round.TOMBSTONES:
        return heapq.nlargest(limit, waiting, key=lambda item: paths.depth(item.path))
    chosen = dict[RelPath, Item]()
    for item in itertools.islice((item for item in waiting if not _directory_is_live(box, item.path)), limit):
        # a directory that changed again has a later seq than what lies in it
        above = (box.rounds.waiting[turn].get(path) for path in paths.ancestors(item.path))
        chosen.update((each.path, each) for each in (*above, item) if each is not None)
    return list(chosen.values())


def _directory_is_live(box: Outbox, path: RelPath) -> bool:
    """Does a directory above go in the small lane? The peer would make it itself, for what came before it: what its
    writer said of it, a mode, would be the older of two."""
    for above in box.unsettled_above(path):
        waiting, flown = box.live.get(above), box.ahead.get(above)
        if waiting is not None and waiting.kind is Kind.DIR and not waiting.busy and not waiting.want:
            return True
        if flown is not None and flown[1] is Kind.DIR:
            return True
    return False


def _defer_links(box: Outbox, resolver: Resolver) -> None:
    """Symlinks that lead over what replaces a directory go after that."""
    links = list(box.rounds.waiting[Round.SYMLINKS].values())
    replace = _taking_places(box) if links else []
    for link in links if replace else ():
        if _leads_over(resolver, link, replace):
            box.rounds.defer(link)


def _taking_places(box: Outbox) -> list[RelPath]:
    """What is unsettled and replaces a directory."""
    flown = (item for number in {n for n, _ in box.ahead.values()} for item in box.flight(Lane.SMALL, number))
    offered = (box.rounds.waiting[Round.TOMBSTONES][path] for path in box.rounds.deferred())
    return [item.path for item in (*box.live.values(), *offered, *flown) if box.over_graves(item) and not item.busy]


def send_deferred(box: Outbox) -> None:
    """What waits for the last round though it is no deletion goes live, in order with what does."""
    for path in box.rounds.deferred():
        item = box.promote(path)
        if item is not None and item.kind is Kind.FILE and len(box.graves.beneath(path)) > MOST:
            item.stage = True  # path by path: what is in the place of the directory comes right after it is gone


def _leads_over(resolver: Resolver, link: Item, replace: list[RelPath]) -> bool:
    targets = resolver.targets(link.path, link.target) or ()
    return any(path == over or paths.beneath(path, over) for over in targets for path in replace)


def _planned(box: Outbox, resolver: Resolver, turn: Round, chosen: list[Item]) -> list[Planned]:
    match turn:
        case Round.CONTENT:
            return [Planned(item) for item in chosen]
        case Round.SYMLINKS:
            return _links_in_order(box, resolver, chosen)
        case Round.TOMBSTONES:
            return _deletions_in_order(box, chosen)


def _deletions_in_order(box: Outbox, chosen: list[Item]) -> list[Planned]:
    """Deletions to offer, but for one beneath what is about to take the place of its directory: that goes live with it.

    The deletion of a directory leans on those beneath it: what the peer has not deleted by then lives on there, and the
    directory with it. One that has others to wait for, which go live, goes live too.
    """
    planned, number = list[Planned](), box.next_number(Lane.OFFER)
    brought = dict[RelPath, tuple[int, int]]()
    for flown, item in box.flown_offers():
        _count_above(brought, item, flown)
    for item in chosen:
        count, leans = brought.get(item.path, (0, NOTHING))
        if box.replacing(item.path) is not None or count < box.graves.count(item.path):
            box.promote(item.path)
        else:
            planned.append(Planned(item, leans))
            _count_above(brought, item, number)
    return planned


def _count_above(brought: dict[RelPath, tuple[int, int]], item: Item, number: int) -> None:
    """For every directory above a deletion: how many are offered beneath it, and the lowest number that brings one."""
    if item.kind is Kind.TOMBSTONE:
        for above in paths.ancestors(item.path):
            count, lowest = brought.get(above, (0, number))
            brought[above] = count + 1, min(lowest, number)


def _links_in_order(box: Outbox, resolver: Resolver, chosen: list[Item]) -> list[Planned]:
    """Symlinks to offer, each after those that it leads over or to, which come along."""
    waiting = sorted(box.rounds.waiting[Round.SYMLINKS])
    planned: dict[RelPath, Planned] = {}
    visiting: set[RelPath] = set()

    def visit(link: Item) -> bool:
        if _directory_is_live(box, link.path):
            return False
        visiting.add(link.path)
        first = [
            path
            for over in resolver.targets(link.path, link.target) or ()
            for path in paths.within(waiting, over)
            if path not in visiting
        ]
        may_go = all(path in planned or visit(box.rounds.waiting[Round.SYMLINKS][path]) for path in first)
        visiting.discard(link.path)
        if may_go:
            planned[link.path] = Planned(link, box.next_number(Lane.OFFER) if first else NOTHING)
        return may_go

    for item in chosen:
        if item.path not in planned:
            visit(item)
    return list(planned.values())
