"""What a person may ask of a running node, and what it answers: the shapes that engine, `admin.sock` and CLI share.

Paths are bytes, as a shell gives them: base64 in JSON. Times are unix seconds.
"""

import enum
from typing import Annotated, Final

import msgspec

LISTED: Final = 1000
"""The most that one answer lists."""

Path = Annotated[bytes, msgspec.Meta(max_length=4096)]
Ident = Annotated[str, msgspec.Meta(max_length=64)]
Region = Annotated[str, msgspec.Meta(max_length=64)]


class Way(enum.Enum):
    """What becomes of what a region does not know any more."""

    TRASH = "trash"
    OFFER = "offer"


class Approve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is held under `id` goes on; `way`: how, where there are two."""

    id: Ident
    way: Way | None = None


class Reject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is held under `id` is not done."""

    id: Ident


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is at `path` and beneath it (empty: everything) is to win in every region."""

    path: Path = b""


class Wait(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Until everything written before is in these regions (none: in all), for `within` seconds at most."""

    regions: Annotated[tuple[Region, ...], msgspec.Meta(max_length=100)] = ()
    within: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0


class Sync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scan now, and everything sent and received, within so many seconds."""

    within: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 3600.0


class Take(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version that begins with `id` becomes the current one; "" where there is one alone."""

    path: Path
    id: Ident = ""


class Restore(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` as it was at `at` (None: before it left last); or, with `since`, all that left since then for `peer`."""

    path: Path = b""
    at: float | None = None
    since: float | None = None
    peer: Region = ""


class Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Join with `prefer` (newest, local, or a region) winning; without `act` it is only said what that would do.

    `within`: seconds, for the peers to say what they have, and again for what is done.
    """

    prefer: Region
    act: bool = False
    within: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0


class ConflictItem(msgspec.Struct, frozen=True):
    """A losing version whose bytes are kept: `id` names them (the hash), `shown_*` what the root shows instead."""

    path: bytes
    id: str
    size: int
    written: float
    shown_size: int
    shown_written: float


class Conflicts(msgspec.Struct, frozen=True):
    """The first of all `total` losing versions, by path."""

    conflicts: tuple[ConflictItem, ...]
    total: int


class TrashItem(msgspec.Struct, frozen=True):
    """Something that left the web root: `id` names it in the trash."""

    id: str
    path: bytes
    kind: str
    size: int
    reason: str
    peer: str
    """the region on whose behalf it left, "" for this node"""
    left: float


class Trash(msgspec.Struct, frozen=True):
    """What left last, the youngest first."""

    items: tuple[TrashItem, ...]


class Behind(msgspec.Struct, frozen=True):
    """A region that has not got everything, and why; `held`: something is held, refused or unreadable, and waits for
    a person; `unreached`: it is not there."""

    region: str
    why: str
    held: bool = False
    unreached: bool = False


class Waited(msgspec.Struct, frozen=True):
    """Who has not got everything that was written before the question: nobody, if all is well."""

    behind: tuple[Behind, ...]


class Synced(msgspec.Struct, frozen=True):
    """The regions that have not got everything, or of which not everything is here."""

    behind: tuple[Behind, ...]


class PendingOf(msgspec.Struct, frozen=True):
    """What a region has not confirmed: `send` paths of `size` bytes, `delete` paths, the first of each named.

    `problem`: why it is not reached, and this as it was known last.
    """

    region: str
    problem: str
    send: int = 0
    size: int = 0
    sent: tuple[bytes, ...] = ()
    delete: int = 0
    deleted: tuple[bytes, ...] = ()


class Pending(msgspec.Struct, frozen=True):
    """For every region; `notes` are what else there is to know: what is held, or waits."""

    regions: tuple[PendingOf, ...]
    notes: tuple[str, ...]


class Restored(msgspec.Struct, frozen=True):
    """`count` paths are back, the first of them named; what could not be, with why."""

    count: int
    paths: tuple[bytes, ...]
    failed: int
    problems: tuple[str, ...]


class Rejected(msgspec.Struct, frozen=True):
    """`count` paths are to come back."""

    count: int


class Claimed(msgspec.Struct, frozen=True):
    """Held under `id`: `here` paths with `size` bytes are to win, `gone` ones that are gone here to be deleted."""

    id: str
    here: int
    size: int
    gone: int


class Compared(msgspec.Struct, frozen=True):
    """How the paths of a region and those here compare. Sizes in bytes; a pair: of what is here, of what is there.

    `later_here`, `later_there`: of those that differ, by which is the later. `deleted`: here, and deleted there since.
    `problem`: why not all of it is known, "" if it is.
    """

    region: str
    problem: str
    same: int
    here: int
    here_bytes: int
    there: int
    there_bytes: int
    later_here: int
    later_there: int
    later_here_bytes: tuple[int, int]
    later_there_bytes: tuple[int, int]
    deleted: int
    deleted_bytes: int


class Joined(msgspec.Struct, frozen=True):
    """`done`: it was done, to the end; else `waits_for` are the regions that have yet to say what they have."""

    compared: tuple[Compared, ...]
    done: bool = False
    waits_for: tuple[str, ...] = ()


class Failure(msgspec.Struct, frozen=True):
    """It was not done: why, what to do, and the exit code of a command that is told so."""

    error: str
    hint: str
    exit_code: int


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Compare with these regions (none: with all); `checksum`: after hashing every file here and there."""

    regions: Annotated[tuple[Region, ...], msgspec.Meta(max_length=100)] = ()
    checksum: bool = False


class VerifyProgress(msgspec.Struct, frozen=True):
    """How far it is: files hashed here (`region` ""), or there; parts of an index looked at."""

    region: str
    done: int
    total: int


class What(msgspec.Struct, frozen=True):
    """What a node shows at a path: `size`, `mode`, `mtime` and `hash` as far as its kind has them."""

    kind: str
    size: int
    mode: int
    mtime: float
    hash: str
    target: str


class Differing(msgspec.Struct, frozen=True):
    """A path at which two nodes show different things (None: nothing), and why, if that is known."""

    path: bytes
    here: What | None
    there: What | None
    why: str


class RegionVerified(msgspec.Struct, frozen=True):
    """A region against this node. `problem`: why it could not be asked; `differing` and `damaged` are the first of so
    many; `damaged`: files there whose bytes went bad."""

    region: str
    problem: str
    differing: tuple[Differing, ...]
    differing_count: int
    damaged: tuple[bytes, ...]
    damaged_count: int


class Verified(msgspec.Struct, frozen=True):
    """All regions against this node, which has so many `files`, of which `damaged_count` are damaged."""

    files: int
    damaged: tuple[bytes, ...]
    damaged_count: int
    regions: tuple[RegionVerified, ...]


class VerifySaid(msgspec.Struct, frozen=True):
    """One line of the answer to `Verify`: how far it is, or, in the last one, the result or why there is none."""

    progress: tuple[VerifyProgress, ...] = ()
    verified: Verified | None = None
    failure: Failure | None = None
