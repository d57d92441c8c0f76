"""Bytes that are kept come back into the root: a local write like any other, over everything that was seen so far."""

import dataclasses
from collections.abc import Iterable
from typing import Final

from sidecar.core import observe, paths
from sidecar.core.entry import Head, Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import DiskFull, InUse, Itself, Keep, Missing, NotEmpty, Out, Stored, Surprise, Unreachable
from sidecar.engine.absorb import Absorber
from sidecar.engine.directories import Directories
from sidecar.engine.replica import Replica
from sidecar.errors import NeedsHelp, Retryable
from sidecar.index.kept import Trashed
from sidecar.index.store import Index

PAGE: Final = 1000
SURPRISES: Final = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What is to lie at `path`: its kind, mode, size and target by `stat`, its bytes by `hash`."""

    path: RelPath
    stat: Stat
    hash: bytes


class Restorer:
    """Puts kept bytes back; to be used inside `Landing.by_hand`."""

    def __init__(self, replica: Replica, absorber: Absorber) -> None:
        self._replica = replica
        self._absorber = absorber

    def head(self, wanted: Wanted) -> Head:
        """What `wanted` is as a write of this moment."""
        replica, stat = self._replica, wanted.stat
        dot = replica.dots.on(replica.row(wanted.path).version)
        if stat.kind is Kind.DIR:
            return Head(dot, Kind.DIR, mode=stat.mode)
        return Head(dot, stat.kind, stat.size, replica.dots.now_us() * 1000, stat.mode, wanted.hash, stat.target)

    def put(self, wanted: Wanted) -> None:
        """Show `wanted`; what lies there goes to the trash.

        Its mtime is now: a visitor's cache that has the version of meanwhile must not take the older time for "not
        modified since".

        Raises:
            NeedsHelp: its bytes are gone, a directory lies there, or it cannot be written. Retryable: somebody writes
                there just now.
        """
        for _ in range(SURPRISES):
            try:
                self._once(wanted)
            except Surprise:
                continue
            except Missing:
                raise NeedsHelp(f"{paths.shown(wanted.path)}: its bytes are gone", "see `sidecar trash`") from None
            except (InUse, NotEmpty):
                break
            except (Unreachable, DiskFull) as error:
                raise NeedsHelp(f"{paths.shown(wanted.path)}: {error.why}", error.hint) from error
            else:
                return
        raise Retryable(f"{paths.shown(wanted.path)} is being written just now: try again")

    def _once(self, wanted: Wanted) -> None:
        replica, path, stat = self._replica, wanted.path, wanted.stat
        row = self._absorber.refresh(path)
        is_dir = row.stat is not None and row.stat.kind is Kind.DIR
        if is_dir and stat.kind is not Kind.DIR:
            raise NeedsHelp(f"{paths.shown(path)}: a directory lies there", "move it away first")
        Directories(replica, self._absorber).make_above(path)
        head = self.head(wanted)
        if is_dir and row.stat is not None:
            placed = replica.disk.set_meta(path, head, row.stat)
        else:
            out = Out(row.stat, row.hash, Keep.REPLACED) if row.stat is not None else None
            placed = replica.disk.put(path, head, Stored(wanted.hash) if stat.kind is Kind.FILE else Itself(), out)
        after = observe.written(row, placed, wanted.hash, head.dot, replica.racy(placed))
        replica.commit(after, local=True)


def before(index: Index, path: RelPath) -> list[Trashed]:
    """What lay at `path` before it left last, and beneath it: of each path there that is not live the youngest."""
    own = _left(index, path)[:1]
    if own and own[0].stat.kind is Kind.DIR and _is_live(index, path):
        own = []  # it is there again, as somebody made it
    return _one_kind(own, [_left(index, each)[0] for each in index.trash_beneath(path) if not _is_live(index, each)])


def at(index: Index, path: RelPath, us: int) -> list[Trashed]:
    """What lay at `path` and beneath it at `us` (µs since 1970) and has left since."""
    own, *beneath = [_state_at(index, each, us) for each in (path, *index.trash_beneath(path))]
    return _one_kind(_there([own]), _there(beneath))


def left_since(index: Index, since_us: int, peer: str) -> list[Trashed]:
    """What left the root since `since_us` on behalf of `peer` ("": anybody): of each path the first, parents first."""
    first: dict[RelPath, Trashed] = {}
    at_us, seen = since_us, set[RelPath]()
    while page := [item for item in index.trash_since(at_us, PAGE) if item.name not in seen]:
        for item in page:
            seen.add(item.name)
            if not peer or item.source == peer:
                first.setdefault(item.path, item)
        at_us = page[-1].at_us
    return sorted(first.values(), key=lambda item: (paths.depth(item.path), item.path))


def _left(index: Index, path: RelPath) -> list[Trashed]:
    """What left the root at `path`, youngest first. The loser of a conflict came to the trash when that was over, not
    when it left, if it ever lay there: it counts where there is nothing else."""
    every = index.trash_of(path)
    return [item for item in every if item.reason is not Keep.CONFLICT] or every


def _state_at(index: Index, path: RelPath, us: int) -> Trashed | None:
    """The first of what left `path` since; None if nothing did, or if that was made later than `us`."""
    left = [item for item in _left(index, path) if item.at_us >= us]
    first = min(left, key=lambda item: item.at_us, default=None)
    return first if first is not None and first.stat.btime_ns <= us * 1000 else None


def _one_kind(own: list[Trashed], beneath: list[Trashed]) -> list[Trashed]:
    """The path was a file or a directory: what left last tells. A directory comes back before what was in it."""
    if own and own[0].stat.kind is Kind.DIR:
        return [*own, *beneath]
    if own and beneath:
        return own if own[0].at_us > max(item.at_us for item in beneath) else beneath
    return own or beneath


def _there(found: Iterable[Trashed | None]) -> list[Trashed]:
    return [item for item in found if item is not None]


def _is_live(index: Index, path: RelPath) -> bool:
    row = index.get(path)
    return row is not None and row.stat is not None
