"""The facts that are stored and sent: kinds, dots, heads, versions, stats and index rows.

They lead in no circle, so the collector of such (`gc=False`) need not look at them: there are thousands at a time.
"""

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from sidecar.core.paths import MAX_PATH, RelPath

MAX_RUNS: Final = 65_536
"""Starts of nodes that wrote to one path: one a day in twenty regions for nine years."""
MAX_HEADS: Final = 256
"""Writes of one path that have not heard of each other: a node has one at most."""
MAX_NS: Final = (1 << 63) - 1
"""The last moment that is told in ns: in the year 2262."""
HASH: Final = 16
"""Bytes of an xxh128."""

# what is stored (SQLite, and the kernel's own types) has 63 bits and a sign; a frame that says more is none of ours
Natural = Annotated[int, Meta(ge=0, le=MAX_NS)]
Moment = Annotated[int, Meta(ge=-MAX_NS, le=MAX_NS)]
Mode = Annotated[int, Meta(ge=0, le=0o7777)]
Hash = Annotated[bytes, Meta(max_length=HASH)]
Target = Annotated[bytes, Meta(max_length=MAX_PATH)]


class Kind(enum.IntEnum):
    """What a path is. A tombstone is a path that was deleted."""

    TOMBSTONE = 0
    FILE = 1
    DIR = 2
    SYMLINK = 3


class Dot(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """The name of one write: `counter` (at least the time of writing in µs since 1970), `run` (a start of a node)."""

    counter: Natural
    run: Natural


class Head(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version of a path: who wrote it and what it is.

    `mtime_ns` of files and symlinks, `mode` (permission bits) of files and directories, `hash` (xxh128, 16 bytes) and
    `size` of files, `target` of symlinks; the fields that a kind lacks are zero or empty.
    """

    dot: Dot
    kind: Kind
    size: Natural = 0
    mtime_ns: Moment = 0
    mode: Mode = 0
    hash: Hash = b""
    target: Target = b""

    def same_content(self, other: "Head") -> bool:
        """Do both heads put the same bytes there (mode and mtime aside)?"""
        return (self.kind, self.hash, self.target) == (other.kind, other.hash, other.target)


class Version(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A dotted version vector set: `vector` as sorted (run, counter) pairs, `heads` sorted by dot."""

    vector: Annotated[tuple[tuple[Natural, Natural], ...], Meta(max_length=MAX_RUNS)] = ()
    heads: Annotated[tuple[Head, ...], Meta(max_length=MAX_HEADS)] = ()


NEVER: Final = Version()
"""The version of a path that nobody has written yet: the zero value."""


class Stat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What lstat (statx) said of a path in the web root; `target` for symlinks; `btime_ns` 0 where unknown."""

    kind: Kind
    size: int
    mtime_ns: int
    mode: int
    ino: int
    ctime_ns: int
    btime_ns: int = 0
    target: bytes = b""


class Flag(enum.IntFlag):
    """Durable marks of a row."""

    RACY = 1
    """its stat was taken within the grain of the file system's clock: equal stats prove nothing yet"""
    FOUND = 2
    """met by the first scan of a new index, without a version so far"""
    KEPT = 4
    """a deleted directory that stays here alone, because only excluded names are left in it"""
    HELD = 8
    """a peer's newer version is held back here and waits for a person"""
    FORGOTTEN = 16
    """a peer has dropped the tombstones of that time: it may have been deleted there, and waits for a person"""


APART: Final = Flag.FOUND | Flag.HELD | Flag.FORGOTTEN
"""A row with one of these marks is sent to nobody, and is in no sum: peers may have something else there."""


def marked(flags: Flag, flag: Flag) -> bool:
    """Is `flag` among `flags`? Asked of every row at every look: as plain integers that is ten times cheaper."""
    return int.__and__(flags, flag) != 0


NO_FLAGS: Final = Flag(0)


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path of the index.

    `stat` and `hash` tell what was in the root when it was last looked at (`None`: nothing); `seq` grows with every
    change of the version on this node.
    """

    path: RelPath
    version: Version = NEVER
    stat: Stat | None = None
    hash: bytes = b""
    seq: int = 0
    flags: Flag = NO_FLAGS
