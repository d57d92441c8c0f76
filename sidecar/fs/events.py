"""What the kernel's events say of a path: their bits, and why they make it dirty."""

import enum
import os
import stat as modes
from typing import Final

from inotify_simple import flags

from sidecar.core.paths import RelPath
from sidecar.errors import GeorootError
from sidecar.fs import syscalls
from sidecar.fs.faults import GONE, Missing
from sidecar.fs.root import WebRoot
from sidecar.fs.tree import LOOK

CREATE: Final = int(flags.CREATE)
CLOSE_WRITE: Final = int(flags.CLOSE_WRITE)
MODIFY: Final = int(flags.MODIFY)
MOVED_TO: Final = int(flags.MOVED_TO)
MOVED_FROM: Final = int(flags.MOVED_FROM)
DELETE: Final = int(flags.DELETE)
ATTRIB: Final = int(flags.ATTRIB)
IGNORED: Final = int(flags.IGNORED)
ISDIR: Final = int(flags.ISDIR)
OVERFLOW: Final = int(flags.Q_OVERFLOW)
PLAIN: Final = 1 << 32
"""our own mark beside the kernel's: an event was about something that is no directory"""
SELF: Final = int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT)
PLACES: Final = CREATE | MOVED_TO | MOVED_FROM | DELETE


class Reason(enum.IntFlag):
    """Why a path is dirty; several at once where several things happened between two reads."""

    CLOSED = 1
    """a writer closed it"""
    MOVED_IN = 2
    """it was renamed to here"""
    ATTRIB = 4
    """mode, times, owner or links changed"""
    CREATED = 8
    """a directory, a symlink, a hard link, or a file that nobody has open for writing"""
    WRITING = 16
    """a local process is writing it: most likely its close follows (not after truncate(2))"""
    GONE = 32
    """deleted, or renamed to elsewhere"""
    LISTED = 64
    """found in a new directory: it may still be being written"""
    TREE = 128
    """a directory that was watched under another path: whatever lies beneath it is to be looked at"""


_CLOSED, _MOVED_IN, _TOUCHED, _CREATED = (int(one) for one in list(Reason)[:4])
_WRITING, _GONE = int(Reason.WRITING), int(Reason.GONE)
REASONS: Final = 255
"""all bits of a `Reason`"""
READY: Final = [Reason(bits) for bits in range(REASONS + 1)]
"""every `Reason`, ready-made: an IntFlag is slow to make"""


def reason_of(root: WebRoot, path: RelPath, mask: int) -> int:
    """Why a path is dirty of which the kernel said `mask`: the bits of a `Reason`, 0: it is not."""
    reason = 0
    if mask & CLOSE_WRITE:
        reason = _CLOSED
    if mask & MOVED_TO:
        reason |= _MOVED_IN
    if mask & ATTRIB:
        reason |= _TOUCHED
    if mask & (DELETE | MOVED_FROM):
        reason |= _GONE
    if mask & CREATE and not reason & (_CLOSED | _MOVED_IN):
        reason |= _created(root, path) if mask & PLAIN else _CREATED
    if mask & MODIFY and not reason:
        # a writer at work, or truncate(2), which opens and closes nothing
        reason = _WRITING
    return reason


def _created(root: WebRoot, path: RelPath) -> int:
    """What a CREATE without a close says. A new file is not complete yet, or was made by link(2)."""
    try:
        fd = root.open(path, LOOK)
        try:
            raw = syscalls.statx_fd(fd)
        finally:
            os.close(fd)
        if not modes.S_ISREG(raw.mode) or raw.nlink > 1:
            return _CREATED
        return _CREATED if root.is_open_for_writing(path) is False else _WRITING
    except (OSError, GeorootError) as error:
        # gone again, or not to be opened: the engine's own look will tell
        return _GONE if isinstance(error, Missing) or getattr(error, "errno", 0) in GONE else _CREATED
