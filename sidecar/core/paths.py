"""Paths in the web root: bytes, relative, `/` between the names, no leading or trailing slash."""

import bisect
import functools
from typing import Final, NewType

from sidecar.errors import ProtocolViolation

RelPath = NewType("RelPath", bytes)

ROOT: Final = RelPath(b"")
STATE_NAME: Final = b".sidecar"
MAX_NAME: Final = 255
MAX_PATH: Final = 4095


def parent(path: RelPath) -> RelPath:
    """The directory that holds `path`; `ROOT` for a name at the top."""
    return RelPath(path.rpartition(b"/")[0])


def name(path: RelPath) -> bytes:
    """The last name of `path`."""
    return path.rpartition(b"/")[2]


def join(directory: RelPath, leaf: bytes) -> RelPath:
    """`leaf` in `directory`."""
    return RelPath(directory + b"/" + leaf if directory else leaf)


def ancestors(path: RelPath) -> tuple[RelPath, ...]:
    """Every directory above `path`, top first, without `ROOT`."""
    return _down_to(path.rpartition(b"/")[0])


@functools.lru_cache(maxsize=256)
def _down_to(directory: bytes) -> tuple[RelPath, ...]:
    # asked many times of each of the files of a directory
    found: list[RelPath] = []
    at = directory.find(b"/")
    while at != -1:
        found.append(RelPath(directory[:at]))
        at = directory.find(b"/", at + 1)
    return (*found, RelPath(directory)) if directory else ()


def beneath(path: RelPath, directory: RelPath) -> bool:
    """Is `path` inside `directory`, at any depth (a path is not beneath itself)?"""
    return path.startswith(directory + b"/") if directory else path != ROOT


def within(ordered: list[RelPath], directory: RelPath) -> list[RelPath]:
    """Of sorted paths those that are the directory or beneath it."""
    at = bisect.bisect_left(ordered, directory)
    found = [directory] if ordered[at : at + 1] == [directory] else []
    for at in range(bisect.bisect_left(ordered, directory + b"/" if directory else b""), len(ordered)):
        if not beneath(ordered[at], directory):
            break
        found.append(ordered[at])
    return found


def depth(path: RelPath) -> int:
    """How many directories lie above `path`."""
    return path.count(b"/")


def shown(path: bytes) -> str:
    """A path of any bytes, for people."""
    return path.decode("utf-8", "backslashreplace")


def is_state(path: RelPath) -> bool:
    """Is this the sidecar's own directory at the top of the root, or in it? It is never replicated."""
    return path == STATE_NAME or path.startswith(STATE_NAME + b"/")


def checked(raw: bytes) -> RelPath:
    """A path as a peer named it.

    Raises:
        ProtocolViolation: empty, absolute, with a NUL, `.`, `..` or an empty name, too long, or in the state directory.
    """
    if not raw or len(raw) > MAX_PATH or b"\0" in raw:
        raise ProtocolViolation(f"a path that no node sends: {raw[:80]!r}")
    for part in raw.split(b"/"):
        if part in (b"", b".", b"..") or len(part) > MAX_NAME:
            raise ProtocolViolation(f"a path that leaves the web root or has an empty name: {raw[:80]!r}")
    path = RelPath(raw)
    if is_state(path):
        raise ProtocolViolation(f"a path in the sidecar's own directory: {raw[:80]!r}")
    return path
