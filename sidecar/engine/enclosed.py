"""Small files that travel in the frame of their batch, where they would wait for an rsync: one costs 17 ms of CPU at
both ends, and the next is ready 40 ms later, 140 on a busy machine.

They are told by their hash as any other: the sender hashed the file when it absorbed it and reads it once more when it
is sent, and what differs is torn.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from sidecar.core import version as versions
from sidecar.core.frames import MAX_ENCLOSED, Batch, Entry, How
from sidecar.core.paths import RelPath, join
from sidecar.core.ports import Staged
from sidecar.errors import GeorootError
from sidecar.fs import stage
from sidecar.fs.faults import NoSpace, ReadOnly, Unstaged
from sidecar.fs.root import ENCLOSED, WebRoot

MOST: Final = MAX_ENCLOSED
"""Bytes of the largest file that is enclosed: a longer one would keep what comes after it on a slow line waiting."""
TOGETHER: Final = 512 * 1024
"""About so many bytes are enclosed in a batch."""
ENTRIES: Final = 128
"""Of such a batch."""
LIMITS: Final = (ENTRIES, TOGETHER, MOST)
WINDOW: Final = 32
"""Unanswered batches of the small lane up to which such a one goes: 4096 files and 16 MiB. An answer waits for the
disk, which takes a second beside a busy neighbour; a receiver remembers 96 MiB at most that it has not answered."""


def encloses(batch: Batch) -> bool:
    """Does it bring files itself?"""
    return any(entry.content is not None for entry in batch.entries)


def may_bring(batch: str, entry: Entry) -> bool:
    """Does the file of an entry come in one way, if it has one: with the rsync of its batch, or in itself?"""
    if entry.content is not None:
        return not batch and entry.how is How.STAGED and not entry.name
    return bool(batch) or entry.how not in (How.STAGED, How.LOSER)


def read(root: WebRoot, path: RelPath, size: int) -> bytes:
    """The bytes of a file now; what has gone, or has grown beyond `size`, is not what was announced anyway."""
    try:
        fd = root.open_file(path)
    except OSError:
        return b""
    try:
        return os.pread(fd, size, 0)
    except OSError:
        return b""
    finally:
        os.close(fd)


def staged(root: WebRoot, entries: Iterable[Entry]) -> tuple[dict[bytes, Staged], bool]:
    """What they enclose, in the inbox, by path; what has not the announced hash is left out. Did the volume take no
    more? Then the rest is left out too."""
    there: dict[bytes, Staged] = {}
    with root.inbox.holding():
        for entry in entries:
            best = versions.winner(entry.version)
            if entry.content is None or best is None or entry.path in there:
                continue
            try:
                name, ino = stage.stage_bytes(root, entry.content, best.hash)
            except Unstaged:
                continue
            except (NoSpace, ReadOnly):
                return there, True
            there[entry.path] = Staged(ENCLOSED.decode(), name, best.hash, ino)
    return there, False


def drop(root: WebRoot, staged: Mapping[bytes, Staged]) -> None:
    """Those that were not placed go, whatever was answered: of bytes that lie there already, or are kept, none are."""
    with suppress(GeorootError), root.inbox.holding():
        left = {name for name, _ in root.inbox.kinds(RelPath(ENCLOSED))}
        for file in staged.values():
            if file.name in left:
                stage.drop(root.inbox, join(RelPath(ENCLOSED), file.name))
