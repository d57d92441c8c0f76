"""What goes wrong with the index, by name: the one place where SQLite's errors are translated."""

import sqlite3
from typing import Final

from sidecar.errors import EnvironmentFault, GeorootError, NeedsHelp, Retryable

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
FOREIGN: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite's module raises."""
_UNWRITTEN: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,  # a quota is full (EDQUOT), too
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    }
)
"""The extended codes of a disk that takes no more writes."""
_REFUSED: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


class IndexDamaged(NeedsHelp):
    """The file is not an index, or no longer: quarantine it and begin a new one (what is in the root is then found)."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(f"the index is damaged: {problem}", "it is set aside and built anew from the web root")


class IndexFull(Retryable):
    """The disk or the quota is full, or takes no writes of the index: the transaction was rolled back."""


class IndexUnread(Retryable):
    """Its disk does not give what the index holds: the transaction was rolled back."""


class IndexBusy(Retryable):
    """Another program has had the index open, if only to read, for longer than we wait: the transaction was undone."""


def translated(error: sqlite3.Error | UnicodeDecodeError) -> GeorootError:
    """`error` as one of ours."""
    extended = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, UnicodeDecodeError) or (extended is None and isinstance(error, sqlite3.OperationalError)):
        # the module's own: a text in a row, or a name in SQLite's message, is not UTF-8
        return IndexDamaged(str(error))
    code = (extended or sqlite3.SQLITE_ERROR) & 0xFF
    if code in _DAMAGED:
        return IndexDamaged(str(error))
    if extended in _UNWRITTEN or code == sqlite3.SQLITE_IOERR:
        return _of_the_disk(error, is_written=extended in _UNWRITTEN)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return IndexBusy("another program has the index open: end it")
    if code in _REFUSED:
        return EnvironmentFault(
            "state", f"the index cannot be opened or written: {error}", "check the owner and mode of it"
        )
    return GeorootError(f"the index: {error}")


def _of_the_disk(error: sqlite3.Error, *, is_written: bool) -> Retryable:
    if is_written:
        return unwritten(str(error))
    return IndexUnread(f"the index cannot be read, its disk fails ({error}): look at the kernel's log")


def unwritten(why: str) -> IndexFull:
    """The volume did not take a commit, and `why`."""
    return IndexFull(f"no space left for the index, or its disk fails ({why}): free space on the volume")
