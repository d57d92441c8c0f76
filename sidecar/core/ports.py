"""What the engine needs of the world: the web root as a port, so that the same engine runs over a simulated one.

Every effect is one step after which a crash may come; every one either happens as a whole or not at all.
"""

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from sidecar.core.entry import Head, Kind, Stat
from sidecar.core.paths import RelPath


class Surprise(Exception):
    """The disk is not as the row says: a local writer was faster. Look again, then decide again."""


class Missing(Exception):
    """The bytes that were to be put there are gone."""


class NotEmpty(Exception):
    """A directory that was to go holds something."""


class InUse(Exception):
    """A local writer has the file open, or writes faster than it can be read."""

    def __init__(self, path: RelPath) -> None:
        super().__init__(path)
        self.path = path


class Unreachable(Exception):
    """This path alone cannot be read or replaced (another owner, a special file); the rest goes on."""

    def __init__(self, path: RelPath, why: str, hint: str) -> None:
        super().__init__(path, why, hint)
        self.path, self.why, self.hint = path, why, hint


class DiskFull(Exception):
    """The volume takes nothing now, whatever the path: no space is left, or it is read-only."""

    def __init__(self, why: str, hint: str) -> None:
        super().__init__(why, hint)
        self.why, self.hint = why, hint


class Keep(enum.Enum):
    """Why bytes leave the web root, and so where they are kept."""

    DELETED = "deleted"
    REPLACED = "replaced"
    LOST = "lost"
    """met by the first scan of a new index and older than what the peers have"""
    CONFLICT = "conflict"
    """they are a losing head's, kept as long as the conflict lasts"""


@dataclasses.dataclass(frozen=True, slots=True)
class Out:
    """What lies at a path now and leaves it: as its row tells it, and where to."""

    stat: Stat
    hash: bytes
    keep: Keep


@dataclasses.dataclass(frozen=True, slots=True)
class Staged:
    """A file in the inbox whose hash is `hash`."""

    batch: str
    name: bytes
    hash: bytes
    ino: int


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """The bytes with `hash` among the conflicts or in the trash: they are copied."""

    hash: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class CopyOf:
    """The bytes of another path of the root: they are copied."""

    path: RelPath
    stat: Stat


@dataclasses.dataclass(frozen=True, slots=True)
class Moved:
    """Another path of the root, which moves here."""

    path: RelPath
    stat: Stat


@dataclasses.dataclass(frozen=True, slots=True)
class Itself:
    """A directory or a symlink: the head tells all."""


Source: TypeAlias = Staged | Stored | CopyOf | Moved | Itself


Beneath: TypeAlias = Mapping[RelPath, Out]
"""What leaves with the directory that it lies in, by its path."""
NOTHING: Final[Beneath] = MappingProxyType({})
"""what leaves is no directory, or one in which nothing is that anybody knows"""


class Disk(Protocol):
    """One web root with its trash and its conflicts. Paths are never followed through a symlink."""

    def look(self, path: RelPath) -> Stat | None:
        """lstat; None where there is nothing. Raises Unreachable."""

    def digest(self, path: RelPath) -> tuple[Stat, bytes]:
        """Stat and hash of a file that nobody has open for writing (see `being_written`), of one moment.

        Raises Surprise (gone, or not a file), InUse, Unreachable."""

    def being_written(self, path: RelPath) -> bool:
        """Does somebody here have the file open or mapped for writing?"""

    def names(self, path: RelPath) -> list[RelPath]:
        """What lies in a directory, without what is excluded."""

    def tree(self, path: RelPath) -> Iterator[list[tuple[RelPath, Stat]]]:
        """All that lies beneath a directory, with its lstat, in parts of some milliseconds; not what is excluded.
        Raises Unreachable (a special file too)."""

    def kinds(self, path: RelPath) -> Iterator[list[tuple[RelPath, Kind]]]:
        """The same by listings alone, a directory before what is in it, in a tenth of the time; with what is excluded.
        Raises Surprise (no directory, or it changes), Unreachable (a special file too)."""

    def have(self, digest: bytes) -> bool:
        """Are file bytes with this hash among the conflicts or in the trash?"""

    def kept(self, digest: bytes) -> bool:
        """Are they among the conflicts, where nothing ages out?"""

    def put(self, path: RelPath, head: Head, source: Source, out: Out | None, beneath: Beneath = NOTHING) -> Stat:
        """Show `head` at `path`, in the place of `out`, by one rename; its stat then. With `beneath`, `out` is a
        directory in which exactly that lies, beside what is excluded: it leaves too, and each of it is kept by itself.

        Raises Surprise, Missing, InUse (what came out is being written: it was put back), Unreachable, DiskFull.
        """

    def rename(self, old: RelPath, new: RelPath, stat: Stat) -> Stat:
        """A directory goes to where nothing lies, by one rename; its stat then. Raises Surprise, Unreachable,
        DiskFull."""

    def set_meta(self, path: RelPath, head: Head, now: Stat) -> Stat:
        """Give what lies there the mode and mtime of `head`. Raises Surprise, Unreachable."""

    def remove(self, path: RelPath, out: Out) -> None:
        """Take a path out of the root. Raises Surprise, NotEmpty, InUse, Unreachable, DiskFull."""

    def keep_staged(self, path: RelPath, staged: Staged) -> None:
        """Keep a losing head's bytes among the conflicts. Raises Missing, DiskFull."""

    def keep_also(self, path: RelPath, digest: bytes) -> None:
        """If these bytes are among the conflicts, for whichever path: a losing head of `path` needs them too."""

    def release(self, path: RelPath, digests: tuple[bytes, ...]) -> None:
        """The conflict of `path` no longer needs these bytes: to the trash with them."""
