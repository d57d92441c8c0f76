"""Whether a path has changed here is read from its stat, and from its bytes where the stat proves nothing."""

from typing import Any

import msgspec
import pytest

from sidecar.core import observe
from sidecar.core.entry import Dot, Flag, Head, Kind, Row, Stat
from sidecar.core.observe import RACY_NS, RACY_WHOLE_SECONDS_NS, Change
from tests.unit.core.facts import OURS, UNMARKED, deleted, digest, directory, file, path, row, stat, symlink, version

A_FILE = row("p", version(file(1)))
A_DIR = row("p", version(directory(1)))
A_LINK = row("p", version(symlink(1)))
A_GRAVE = row("p", version(deleted(1)))


def same_but(before: Row, **fields: Any) -> Stat:
    """The stat of a row, with some of its fields changed."""
    assert before.stat is not None
    return msgspec.structs.replace(before.stat, **fields)


@pytest.mark.parametrize(
    ("why", "change", "before", "now"),
    [
        ("neither a row nor a path", Change.NONE, None, None),
        ("a path without a row", Change.APPEARED, None, stat()),
        ("deleted, and still gone", Change.NONE, A_GRAVE, None),
        ("deleted, and there again", Change.APPEARED, A_GRAVE, stat()),
        ("a file that is gone", Change.VANISHED, A_FILE, None),
        ("a directory that is gone", Change.VANISHED, A_DIR, None),
        ("a file that became a directory", Change.SURE, A_FILE, stat(Kind.DIR)),
        ("a directory that became a symlink", Change.SURE, A_DIR, stat(Kind.SYMLINK)),
        ("the very same file", Change.NONE, A_FILE, A_FILE.stat),
        ("another size", Change.ASK_HASH, A_FILE, same_but(A_FILE, size=2)),
        ("another mtime", Change.ASK_HASH, A_FILE, same_but(A_FILE, mtime_ns=8)),
        ("another mode", Change.ASK_HASH, A_FILE, same_but(A_FILE, mode=0o600)),
        ("another inode", Change.ASK_HASH, A_FILE, same_but(A_FILE, ino=12)),
        ("another ctime alone: chown, link, backup", Change.ASK_HASH, A_FILE, same_but(A_FILE, ctime_ns=8)),
        ("equal stats of a racy row prove nothing", Change.ASK_HASH, row("p", A_FILE.version, 1, Flag.RACY), stat()),
        ("no hash in the row", Change.ASK_HASH, Row(path("p"), A_FILE.version, A_FILE.stat), A_FILE.stat),
        ("the very same directory", Change.NONE, A_DIR, A_DIR.stat),
        ("a directory's mtime and ctime are its own", Change.NONE, A_DIR, same_but(A_DIR, mtime_ns=8, ctime_ns=9)),
        ("a directory's mode is not", Change.SURE, A_DIR, same_but(A_DIR, mode=0o700)),
        ("the very same symlink", Change.NONE, A_LINK, A_LINK.stat),
        ("a symlink made anew in the same way", Change.NONE, A_LINK, same_but(A_LINK, ino=12, ctime_ns=9)),
        ("another target", Change.SURE, A_LINK, same_but(A_LINK, target=b"u")),
        ("another mtime of a symlink", Change.SURE, A_LINK, same_but(A_LINK, mtime_ns=8)),
    ],
)
def test_what_a_look_says(why: str, change: Change, before: Row | None, now: Stat | None) -> None:
    assert change is observe.compare(before, now), why


@pytest.mark.parametrize(
    ("why", "racy", "kind", "age_ns", "grain_ns"),
    [
        ("just written, where the clock is coarse", True, Kind.FILE, 0, RACY_NS),
        ("still within the grain", True, Kind.FILE, RACY_NS - 1000, RACY_NS),
        ("the grain is over", False, Kind.FILE, RACY_NS, RACY_NS),
        ("whole seconds take two of them", True, Kind.FILE, RACY_NS, RACY_WHOLE_SECONDS_NS),
        ("from the future", True, Kind.FILE, -(10**9), RACY_NS),
        ("the kernel tells every two changes apart", False, Kind.FILE, 0, 0),
        ("a directory has no bytes", False, Kind.DIR, 0, RACY_NS),
        ("a symlink's target is read each time", False, Kind.SYMLINK, 0, RACY_NS),
    ],
)
def test_a_stat_is_racy_within_the_grain_of_the_clock(
    why: str, racy: bool, kind: Kind, age_ns: int, grain_ns: int
) -> None:
    now_us = 1_700_000_000_000_000
    looked = Stat(kind, 1, 7, 0o644, ino=11, ctime_ns=now_us * 1000 - age_ns)
    assert racy == observe.is_racy(looked, now_us, grain_ns), why


@pytest.mark.parametrize("head", [file(3), directory(3), symlink(3)], ids=["file", "directory", "symlink"])
def test_a_head_says_what_lies_there_and_nothing_that_its_kind_lacks(head: Head) -> None:
    there = Stat(head.kind, 1, 7, head.mode, ino=11, ctime_ns=7, target=head.target)
    assert head == observe.head_of(there, digest("a"), Dot(3, OURS))


@pytest.mark.parametrize(
    ("why", "shown", "before", "now", "text"),
    [
        ("the same file", True, A_FILE, A_FILE.stat, "a"),
        ("inode and ctime are no content", True, A_FILE, same_but(A_FILE, ino=12, ctime_ns=9), "a"),
        ("other bytes under equal stats", False, A_FILE, A_FILE.stat, "b"),
        ("another mode", False, A_FILE, same_but(A_FILE, mode=0o600), "a"),
        ("another mtime", False, A_FILE, same_but(A_FILE, mtime_ns=8), "a"),
        ("another kind", False, A_FILE, same_but(A_FILE, kind=Kind.DIR), ""),
        ("nothing was there", False, A_GRAVE, A_FILE.stat, "a"),
        ("the same directory", True, A_DIR, same_but(A_DIR, mtime_ns=8), ""),
        ("another mode of a directory", False, A_DIR, same_but(A_DIR, mode=0o700), ""),
        ("the same symlink", True, A_LINK, same_but(A_LINK, ino=12), ""),
        ("another target", False, A_LINK, same_but(A_LINK, target=b"u"), ""),
        ("another mtime of a symlink", False, A_LINK, same_but(A_LINK, mtime_ns=8), ""),
    ],
)
def test_what_counts_as_shown_already(why: str, shown: bool, before: Row, now: Stat, text: str) -> None:
    assert shown == observe.shown(before, now, digest(text)), why


def test_what_the_volume_could_not_keep_is_no_local_change() -> None:
    announced = version(file(1, mode=0o600, mtime=9))
    applied = Row(path("p"), announced, stat(mode=0o777, mtime=0), digest("a"))
    assert observe.shown(applied, stat(mode=0o777, mtime=0), digest("a"))


def test_a_local_change_leaves_one_head_over_all_that_was_seen() -> None:
    conflict = row("p", version(file(3), file(4, 2, "b")), seq=9)
    now = stat(size=2)
    after = observe.written(conflict, now, digest("c"), Dot(7, OURS), Flag.RACY)
    assert version(file(7, OURS, "c", size=2), seen=((2, 4),)) == after.version
    assert (now, digest("c"), 9, Flag.RACY) == (after.stat, after.hash, after.seq, after.flags)


def test_a_local_delete_leaves_a_tombstone_and_no_stat() -> None:
    after = observe.written(A_FILE, None, digest("a"), Dot(7, OURS), UNMARKED)
    assert Row(path("p"), version(deleted(7)), None, b"", 1) == after
