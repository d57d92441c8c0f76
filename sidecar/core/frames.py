"""What two nodes say to each other: small typed messages in MessagePack, one a frame.

On a link the side that opened the connection *sends* (renamed, batch, sent, gone, offers-end) and *asks* (compare,
look, check); the other side *receives* (settle) and *answers* (compared, seen, checked); hello, ping and bye go both
ways. A frame that does not decode to exactly one of these types is a protocol violation.
"""

import enum
import itertools
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from sidecar.core.compare import BUCKETS
from sidecar.core.entry import HASH, Dot, Hash, Head, Kind, Moment, Natural, Version
from sidecar.core.paths import MAX_PATH, RelPath
from sidecar.errors import ProtocolViolation

PROTOCOL: Final = 1
"""Nodes of protocol N talk to N-1 and N."""

MAX_ENTRIES: Final = 20_000
"""Of one frame: ten times what a node sends."""
MAX_REGIONS: Final = 1000
"""Of a mesh."""
MAX_OUTCOME: Final = 255
"""What is no outcome in any version is greater."""
MAX_NAME: Final = 255
"""Characters of the name of a node or a version."""
MAX_ENCLOSED: Final = 65_536
"""Bytes of a file that an entry encloses."""
MAX_TEXT: Final = 32_768
"""Characters of a text for people: it may name a path, four characters for each of its bytes."""

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Name = Annotated[str, Meta(max_length=MAX_NAME)]
Sums = Annotated[bytes, Meta(max_length=8192)]  # 1024 of 8 bytes: `core.compare`
Path = Annotated[bytes, Meta(max_length=MAX_PATH)]
Content = Annotated[bytes, Meta(max_length=MAX_ENCLOSED)]
Number = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]
Index = Annotated[int, Meta(ge=0, lt=MAX_ENTRIES)]
Bucket = Annotated[int, Meta(ge=0, lt=BUCKETS)]
Summand = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
Status = Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31)]


class Lane(enum.IntEnum):
    """Batches of one lane are applied in the order of their numbers; lanes do not wait for one another."""

    SMALL = 0
    LARGE = 1
    OFFER = 2


class How(enum.IntEnum):
    """Where the receiver finds the content of an entry."""

    NONE = 0
    """nothing to move: directory, symlink, tombstone, or content that the receiver should have at that path already"""
    STAGED = 1
    """a file in the batch directory, or enclosed in the entry"""
    FROM = 2
    """the receiver's file at another path, which this batch renames"""
    LOSER = 3
    """a file in the batch directory that holds the bytes of a losing head"""


class Outcome(enum.IntEnum):
    """What became of an entry at the receiver."""

    APPLIED = 0
    KNOWN = 1
    HELD = 2
    REFUSED = 3
    TORN = 4
    """the staged file was missing, or its hash was not the announced one"""
    AGAIN = 5
    """it leans on something that did not get there: plan it anew"""
    WANT = 6
    """the receiver lacks bytes: the row's own (empty hash) or those of a losing head (its hash)"""
    BUSY = 7
    """a local writer has the file open, or the path changes faster than it can be looked at: offer it again later"""
    EXCLUDED = 8
    """the receiver never replicates this path"""
    STALE = 9
    """the receiver lacks it, and has dropped tombstones that are younger: it may have been deleted"""
    FULL = 10
    """the receiver's volume takes nothing now, full or read-only: offer it again later, what leans on it waits"""

    @classmethod
    def _missing_(cls, value: object) -> "Outcome | None":
        """What a later version answers, and this one does not know, is not applied, for whatever reason."""
        return cls.REFUSED if isinstance(value, int) and 0 <= value <= MAX_OUTCOME else None


LEFT_OUT: Final = frozenset({Outcome.HELD, Outcome.REFUSED, Outcome.EXCLUDED, Outcome.STALE})
"""The outcomes after which an entry is settled, though the receiver has not got it."""
SETTLED: Final = frozenset({Outcome.APPLIED, Outcome.KNOWN}) | LEFT_OUT
"""The outcomes after which the cursor may pass an entry."""


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path of a batch: its version as the sender has it, and where the content of the winner comes from.

    `name` is the file's name in the batch directory (STAGED, LOSER; empty: the path itself) or the old path (FROM);
    `hash` the hash of a LOSER's bytes; `leans` the lowest lane number that must have been applied in full before this
    entry may be, 0 for none. `content`: the bytes of a STAGED file that needs no rsync; only to a node that says that
    it takes them so.
    """

    path: RelPath
    version: Version
    how: How = How.NONE
    name: Path = b""
    hash: Hash = b""
    leans: Natural = 0
    content: Content | None = None


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """Who speaks. `epoch` is made with the index, `run` at every start; `seen_*` is the last that the speaker stored of
    the listener; `cursor` the listener's seq up to which the speaker settled everything. `joins`: a new
    index that goes after the others, whatever their names. `inflates`: frames may come deflated; `encloses`: small
    files may come in their entries; `renames`: it understands `Renamed`; what is older says nothing of these."""

    protocol: Natural
    region: Name
    node: Name
    epoch: Natural
    run: Natural
    image: Name
    rsync: Name
    now_us: Moment
    seq: Natural
    cursor: Natural
    seen_epoch: Natural
    seen_run: Natural
    seen_seq: Natural
    complete_since: Natural
    new_index: bool
    joins: bool = False
    inflates: bool = False
    encloses: bool = False
    renames: bool = False


class Ping(msgspec.Struct, frozen=True, array_like=True, tag="ping"):
    """A heartbeat: the speaker's highest seq, the cursor of this link, and the time in µs. The sender says up to where
    everything is settled; the receiver what of that it has stored, in answer to each, and at every heartbeat."""

    seq: Natural
    cursor: Natural
    now_us: Moment


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """Changes to apply, in the order of `number` within `lane`; in the lane OFFER rows without content, of which the
    receiver asks for what it lacks. `id` names the directory in the inbox ("" if no file is staged), `cursor` is the
    sender's seq up to which everything is settled."""

    lane: Lane
    number: Number
    id: Name
    cursor: Natural
    entries: Annotated[tuple[Entry, ...], Meta(max_length=MAX_ENTRIES)]


class Sent(msgspec.Struct, frozen=True, array_like=True, tag="sent"):
    """The rsync of a batch has ended: exit status, or minus the signal that killed it."""

    lane: Lane
    number: Number
    status: Status


class Renamed(msgspec.Struct, frozen=True, array_like=True, tag="renamed"):
    """The directory `old` became `new` by the write `dot`, ahead of the batches that say so path by path: who knows it
    by the same `count` live rows (all rows at and beneath both names make `sum`, see `core.move`) may do the same at
    once. Nobody answers."""

    old: RelPath
    new: RelPath
    dot: Dot
    count: Natural
    sum: Summand


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of the entry at `index`; `hash` names wanted bytes; `hint` says why it was held or refused."""

    index: Index
    outcome: Outcome
    hash: Hash = b""
    hint: Text = ""


class Settle(msgspec.Struct, frozen=True, array_like=True, tag="settle"):
    """The receiver's answers to a batch, durable when sent. Entries not named are `rest`."""

    lane: Lane
    number: Number
    rest: Outcome
    answers: Annotated[tuple[Answer, ...], Meta(max_length=MAX_ENTRIES)]


class Lack(msgspec.Struct, frozen=True, array_like=True):
    """`region` had not got certain bytes `age_ms` milliseconds ago; these are its peers."""

    region: Name
    age_ms: Natural
    peers: Annotated[tuple[Name, ...], Meta(max_length=MAX_REGIONS)]


class Gone(msgspec.Struct, frozen=True, array_like=True, tag="gone"):
    """The sender has not got the bytes with `hash` that were wanted for a losing head of `path`; nor have those that
    told it so: `lacks` names all, the sender among them."""

    path: RelPath
    hash: Hash
    lacks: Annotated[tuple[Lack, ...], Meta(max_length=MAX_REGIONS)]


class OffersEnd(msgspec.Struct, frozen=True, array_like=True, tag="offers-end"):
    """Everything above the cursor of hello has been offered and answered."""

    cursor: Natural


class Verdict(enum.IntEnum):
    """What a node makes of the sums of another."""

    SAME = 0
    DIFFERENT = 1
    BUSY = 2
    """something is under way the other way, or what a first scan found is not dated yet: ask again later"""


class Compare(msgspec.Struct, frozen=True, array_like=True, tag="compare"):
    """Does the receiver's index sum up to the same `digest` (see `core.compare`)? `complete_since`: the sender's."""

    digest: Hash
    complete_since: Natural
    number: Natural = 0
    """of the question: its answers say it again"""


class Compared(msgspec.Struct, frozen=True, array_like=True, tag="compared"):
    """The answer: `sums` if they are different, made without tombstones older than `since` (µs since 1970). `apart`:
    some rows are found, held or forgotten, and in no sum."""

    number: Natural
    verdict: Verdict
    since: Natural
    sums: Sums = b""
    apart: bool = False


class Mark(enum.IntEnum):
    """Why a node shows something else at a path than its peers."""

    NONE = 0
    HELD = 1
    """a newer version waits for a person"""
    FOUND = 2
    """what lies there is not what its row says: it was found so after a power loss, or is damaged"""
    EXCLUDED = 3
    """it never replicates this path"""
    FORGOTTEN = 4
    """the other may have deleted it so long ago that it does not know any more: it waits for a person"""


class Look(msgspec.Struct, frozen=True, array_like=True, tag="look"):
    """What does the receiver show where it differs? `rows` are all rows of the sender in these `buckets` (see
    `core.compare`), as (path, number, is it a directory?); the number 0 stands for one that differs in any case."""

    buckets: Annotated[tuple[Bucket, ...], Meta(max_length=BUCKETS)]
    rows: Annotated[tuple[tuple[RelPath, Summand, bool], ...], Meta(max_length=MAX_ENTRIES)]
    number: Natural = 0


class Shows(msgspec.Struct, frozen=True, array_like=True):
    """What a node shows at a path: the winner of its version, if it has one, and whether that is all of it."""

    path: RelPath
    head: Head | None
    mark: Mark = Mark.NONE


class Seen(msgspec.Struct, frozen=True, array_like=True, tag="seen"):
    """The answer to a look: the first of the paths of those buckets that differ, and how many there are `more`."""

    number: Natural
    paths: Annotated[tuple[Shows, ...], Meta(max_length=MAX_ENTRIES)]
    more: Natural


class Check(msgspec.Struct, frozen=True, array_like=True, tag="check"):
    """The receiver is to hash every file anew, and say how far it is, and at the end what is damaged."""

    number: Natural = 0


class Checked(msgspec.Struct, frozen=True, array_like=True, tag="checked"):
    """How far it is: `files` of `total` are hashed. `ended`: that was all; `damaged` are the first of the paths whose
    bytes are no longer those of their row though nobody wrote them, of `count` in all."""

    number: Natural
    files: Natural
    total: Natural
    ended: bool
    count: Natural = 0
    damaged: Annotated[tuple[RelPath, ...], Meta(max_length=MAX_ENTRIES)] = ()


class Bye(msgspec.Struct, frozen=True, array_like=True, tag="bye"):
    """The speaker closes the link, and why."""

    reason: Text


Question: TypeAlias = Compare | Look | Check
Answered: TypeAlias = Compared | Seen | Checked
Frame: TypeAlias = Hello | Ping | Renamed | Batch | Sent | Settle | Gone | OffersEnd | Question | Answered | Bye

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(
    Hello | Ping | Renamed | Batch | Sent | Settle | Gone | OffersEnd
    | Compare | Look | Check | Compared | Seen | Checked | Bye
)  # fmt: skip


def encode(frame: Frame) -> bytes:
    """The bytes of a frame, without the length that the channel puts before them."""
    return _ENCODER.encode(frame)


def decode(raw: bytes) -> Frame:
    """The frame in `raw`.

    Raises:
        ProtocolViolation: it is none, says more than a field can hold, or something that no node writes.
    """
    try:
        frame: Frame = _DECODER.decode(raw)
    except (msgspec.DecodeError, ValueError) as error:
        raise ProtocolViolation(f"a frame that is none of ours: {error}") from error
    if isinstance(frame, Batch):
        for entry in frame.entries:
            _check_entry(entry)
    return frame


def _check_entry(entry: Entry) -> None:
    version = entry.version
    if not _ascend([run for run, _ in version.vector]) or not _ascend([head.dot for head in version.heads]):
        raise ProtocolViolation(f"a version out of order, of {entry.path[:80]!r}")
    if len(entry.hash) not in (0, HASH) or not all(map(_is_head, version.heads)):
        raise ProtocolViolation(f"a version that no node writes, of {entry.path[:80]!r}")


def _ascend(values: list[Any]) -> bool:
    return all(a < b for a, b in itertools.pairwise(values))


def _is_head(head: Head) -> bool:
    """Has it the fields of its kind, and no others?"""
    is_link = head.kind is Kind.SYMLINK
    hashed = len(head.hash) == (HASH if head.kind is Kind.FILE else 0)
    return hashed and bool(head.target) == is_link and b"\0" not in head.target
