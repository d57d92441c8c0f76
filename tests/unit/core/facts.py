"""Heads, versions, stats and rows in few words, for the tables of the tests beside it."""

from sidecar.core import version as versions
from sidecar.core.entry import Dot, Flag, Head, Kind, Row, Stat, Version
from sidecar.core.paths import RelPath

OURS, THEIRS = 1, 2
"""Two runs."""
UNMARKED = Flag(0)


def path(text: str) -> RelPath:
    return RelPath(text.encode())


def file(counter: int, run: int = OURS, text: str = "a", *, mtime: int = 7, mode: int = 0o644, size: int = 1) -> Head:
    """A file; equal texts are equal bytes."""
    return Head(Dot(counter, run), Kind.FILE, size, mtime, mode, digest(text))


def directory(counter: int, run: int = OURS) -> Head:
    return Head(Dot(counter, run), Kind.DIR, mode=0o755)


def symlink(counter: int, run: int = OURS, target: str = "t") -> Head:
    return Head(Dot(counter, run), Kind.SYMLINK, mtime_ns=7, target=target.encode())


def deleted(counter: int, run: int = OURS) -> Head:
    return Head(Dot(counter, run), Kind.TOMBSTONE)


def digest(text: str) -> bytes:
    """What stands for the hash of a text."""
    return text.encode().ljust(16, b".")


def version(*heads: Head, seen: tuple[tuple[int, int], ...] = ()) -> Version:
    """A version with these heads, which has also seen the writes `seen` (run, counter)."""
    vector = dict(seen)
    for head in heads:
        vector[head.dot.run] = max(head.dot.counter, vector.get(head.dot.run, 0))
    return Version(tuple(sorted(vector.items())), tuple(sorted(heads, key=lambda head: head.dot)))


def stat(kind: Kind = Kind.FILE, *, size: int = 1, mtime: int = 7, mode: int = 0o644, target: str = "") -> Stat:
    return Stat(kind, size, mtime, mode, ino=11, ctime_ns=7, btime_ns=5, target=target.encode())


def shows(head: Head) -> Stat | None:
    """What lstat says where `head` is shown."""
    if head.kind is Kind.TOMBSTONE:
        return None
    return stat(head.kind, size=head.size, mtime=head.mtime_ns, mode=head.mode, target=head.target.decode())


def row(name: str, held: Version, seq: int = 1, flags: Flag = UNMARKED) -> Row:
    """A row whose winner lies on the disk."""
    best = versions.winner(held)
    return Row(path(name), held, shows(best) if best else None, best.hash if best else b"", seq, flags)
