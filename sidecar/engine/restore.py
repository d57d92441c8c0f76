"""Bytes that are kept come back into the root: a local write like any other, over everything that was seen so far."""

import dataclasses
from collections.abc import Iterator
from typing import Final

from sidecar.core import observe, paths
from sidecar.core.entry import Head, Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.core.ports import DiskFull, InUse, Itself, Keep, Missing, NotEmpty, Out, Stored, Surprise, Unreachable
from sidecar.engine.land import Lander
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
    """Puts kept bytes back; to be used inside a transaction of the index."""

    def __init__(self, index: Index, lander: Lander) -> None:
        self._index = index
        self._lander = lander

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
                raise NeedsHelp(f"{_shown(wanted.path)}: its bytes are gone", "see `sidecar trash`") from None
            except (InUse, NotEmpty):
                break
            except Unreachable as error:
                raise NeedsHelp(f"{_shown(wanted.path)}: {error.why}", error.hint) from error
            except DiskFull:
                raise NeedsHelp(f"{_shown(wanted.path)}: no space left", "free space on the volume") from None
            else:
                return
        raise Retryable(f"{_shown(wanted.path)} is being written just now: try again")

    def _once(self, wanted: Wanted) -> None:
        lander, path, stat = self._lander, wanted.path, wanted.stat
        row = lander.absorber.refresh(path)
        if row.stat is not None and row.stat.kind is Kind.DIR:
            raise NeedsHelp(f"{_shown(path)}: a directory lies there", "move it away first")
        lander.directories_above(path)
        replica = lander.replica
        dot = replica.dots.on(row.version)
        head = Head(dot, stat.kind, stat.size, replica.dots.now_us() * 1000, stat.mode, wanted.hash, stat.target)
        out = Out(row.stat, row.hash, Keep.REPLACED) if row.stat is not None else None
        placed = replica.disk.put(path, head, Stored(wanted.hash) if stat.kind is Kind.FILE else Itself(), out)
        after = observe.written(row, placed, wanted.hash, dot, replica.racy(placed))
        replica.commit(after, local=True)


def state_at(index: Index, path: RelPath, at_us: int) -> Trashed | None:
    """What lay at `path` at `at_us` (µs since 1970), if it has left since: the first of what left afterwards."""
    left = [item for item in index.trash_of(path) if item.at_us >= at_us]
    return min(left, key=lambda item: item.at_us, default=None)


def left_since(index: Index, since_us: int, peer: str) -> Iterator[Trashed]:
    """What left the root since `since_us` on behalf of `peer` ("": anybody): of each path the first, parents first."""
    first: dict[RelPath, Trashed] = {}
    at, seen = since_us, set[RelPath]()
    while True:
        page = [item for item in index.trash_since(at, PAGE) if item.name not in seen]
        if not page:
            break
        for item in page:
            seen.add(item.name)
            if not peer or item.source == peer:
                first.setdefault(item.path, item)
        at = page[-1].at_us
    yield from sorted(first.values(), key=lambda item: (paths.depth(item.path), item.path))


def _shown(path: RelPath) -> str:
    return path.decode("utf-8", "backslashreplace")
