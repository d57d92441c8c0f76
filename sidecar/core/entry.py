"""The facts that are stored and sent: kinds, dots, heads, versions, stats and index rows."""

import enum
from typing import Final

import msgspec

from sidecar.core.paths import RelPath


class Kind(enum.IntEnum):
    """What a path is. A tombstone is a path that was deleted."""

    TOMBSTONE = 0
    FILE = 1
    DIR = 2
    SYMLINK = 3


class Dot(msgspec.Struct, frozen=True, array_like=True, order=True):
    """The name of one write: `counter` (at least the time of writing in µs since 1970), `run` (a start of a node)."""

    counter: int
    run: int


class Head(msgspec.Struct, frozen=True, array_like=True):
    """One version of a path: who wrote it and what it is.

    `mtime_ns` of files and symlinks, `mode` (permission bits) of files and directories, `hash` (xxh128, 16 bytes) and
    `size` of files, `target` of symlinks; the fields that a kind lacks are zero or empty.
    """

    dot: Dot
    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0
    hash: bytes = b""
    target: bytes = b""

    def same_content(self, other: "Head") -> bool:
        """Do both heads put the same bytes there (mode and mtime aside)?"""
        return (self.kind, self.hash, self.target) == (other.kind, other.hash, other.target)


class Version(msgspec.Struct, frozen=True, array_like=True):
    """A dotted version vector set: `vector` as sorted (run, counter) pairs, `heads` sorted by dot."""

    vector: tuple[tuple[int, int], ...] = ()
    heads: tuple[Head, ...] = ()


NEVER: Final = Version()
"""The version of a path that nobody has written yet: the zero value."""


class Stat(msgspec.Struct, frozen=True, array_like=True):
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


def marked(flags: Flag, flag: Flag) -> bool:
    """Is `flag` among `flags`? Asked of every row at every look: as plain integers that is ten times cheaper."""
    return int.__and__(flags, flag) != 0


NO_FLAGS: Final = Flag(0)


class Row(msgspec.Struct, frozen=True, array_like=True):
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
