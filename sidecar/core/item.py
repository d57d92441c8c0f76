"""What goes to a peer: a path that it needs, as it is planned, and the batch in which it goes."""

import dataclasses
from collections.abc import Iterable
from typing import Final

from sidecar.core.entry import Kind
from sidecar.core.frames import Lane
from sidecar.core.paths import RelPath

NOTHING: Final = 0
"""leans on nothing"""
PRIVATE_AFTER: Final = 2
"""A file that came back torn this often goes from a private copy: its writer never rests long enough."""
ALONE_AFTER: Final = 5
"""A file at which the rsync of its batch failed this often goes in a batch of its own: it may be the reason."""


@dataclasses.dataclass(slots=True)
class Item:
    """One path that the peer needs."""

    path: RelPath
    seq: int
    kind: Kind
    size: int = 0
    target: bytes = b""
    came_from: RelPath | None = None
    """the path that this file was renamed from, here"""
    stage: bool = False
    """send the content: it is new, or the peer asked for it"""
    want: bytes = b""
    """the hash of a losing head that the peer asked for"""
    tries: int = 0
    """how often it came back torn"""
    failures: int = 0
    """how often it did not arrive because the rsync of its batch failed; below `ALONE_AFTER` for what came after it"""
    not_before: float = 0.0
    """monotonic seconds; put off until then"""
    busy: bool = False
    """a local writer of the peer has it open, or another user owns it there: nothing waits for it"""

    @property
    def private(self) -> bool:
        """Does its content come from a copy outside the web root, in a batch of its own?"""
        return bool(self.want) or self.tries >= PRIVATE_AFTER

    @property
    def alone(self) -> bool:
        """Does it go in a batch of its own, whatever its size?"""
        return self.private or self.failures >= ALONE_AFTER


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """An entry of a batch to be built: the item as it was planned and the lane number it leans on."""

    item: Item
    leans: int = NOTHING


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The paths of one batch, in the order in which they are to be applied; one entry each."""

    lane: Lane
    number: int
    planned: tuple[Planned, ...]


def keep_together(failed: Iterable[Item]) -> None:
    """Of what one failed rsync has not brought, only the file at which it failed may go alone, the first in rsync's
    order: a thousand that go one by one take minutes, and the reason may be none of them."""
    for item in sorted(failed, key=_rsync_order)[1:]:
        item.failures = min(item.failures, ALONE_AFTER - 1)


def _rsync_order(item: Item) -> list[tuple[bool, bytes]]:
    """The files of a directory before what lies deeper (rsync's flist.c, f_name_cmp)."""
    *above, name = item.path.split(b"/")
    return [*((True, part) for part in above), (False, name)]
