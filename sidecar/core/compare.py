"""Are two indexes the same? Each side sums its rows up in 1024 buckets by path; only rows of buckets that differ are
offered. So what a dead link or a wrong cursor left out is found, whatever the reason.

A sum is the exclusive or of one 64-bit number for each row, made of path, vector and dots: it does not depend on the
order of the rows, and a row is taken out as it is put in.
"""

import dataclasses
import struct
from collections.abc import Container, Iterable
from typing import Final, NewType

import msgspec
import xxhash

from sidecar.core.entry import Version
from sidecar.core.paths import RelPath
from sidecar.errors import ProtocolViolation

BUCKETS: Final = 1024
LAST: Final = 3600.0
"""Seconds between two comparisons of which every one told the same difference."""
APART: Final = 5.0
"""Seconds between the two looks of a comparison, or its interval, if that is shorter."""

_MASK: Final = BUCKETS - 1
_SIGN: Final = 1 << 63
_LAYOUT: Final = struct.Struct(f"<{BUCKETS}q")
_encode: Final = msgspec.msgpack.Encoder().encode

Sums = NewType("Sums", bytes)
"""1024 signed 64-bit numbers, little-endian: 8 KiB."""

EMPTY: Final = Sums(bytes(_LAYOUT.size))


def bucket_of(path: RelPath) -> int:
    """The bucket that the rows of `path` are summed up in."""
    return xxhash.xxh3_64_intdigest(path) & _MASK


def sum_of(path: RelPath, version: Version) -> int:
    """The number of a row, signed; its lowest ten bits are its bucket. A head's content is known by its dot."""
    dots = [head.dot for head in version.heads]
    number = xxhash.xxh3_64_intdigest(_encode((path, version.vector, dots))) & ~_MASK | bucket_of(path)
    return number - (number & _SIGN) * 2


def numbers_of(sums: Sums) -> tuple[int, ...]:
    """What each bucket sums up to."""
    return _LAYOUT.unpack(sums)


def sums_of(numbers: Iterable[int]) -> Sums:
    """What 1024 buckets sum up to, as one."""
    return Sums(_LAYOUT.pack(*numbers))


def toggled(sums: Sums, rows: Iterable[int]) -> Sums:
    """`sums` without the rows of these numbers that are in them, and with those that are not."""
    numbers = list(numbers_of(sums))
    for row in rows:
        numbers[row & _MASK] ^= row
    return sums_of(numbers)


def combined(one: Sums, other: Sums) -> Sums:
    """What is in one of both alone."""
    both = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return Sums(both.to_bytes(_LAYOUT.size, "little"))


def checked(raw: bytes) -> Sums:
    """Sums as a peer said them.

    Raises:
        ProtocolViolation: they are none.
    """
    if len(raw) != _LAYOUT.size:
        raise ProtocolViolation(f"sums of {len(raw)} bytes, not {_LAYOUT.size}")
    return Sums(raw)


def digest_of(sums: Sums) -> bytes:
    """16 bytes that tell these sums from others."""
    return xxhash.xxh3_128_digest(sums)


def differing(here: tuple[Sums, Sums], there: tuple[Sums, Sums]) -> frozenset[int]:
    """The buckets that differ between two nodes, of those in which no row moved between the two looks at each."""
    looks = zip(*(numbers_of(sums) for sums in (*here, *there)), strict=True)
    return frozenset(bucket for bucket, (h1, h2, t1, t2) in enumerate(looks) if h1 == h2 and t1 == t2 and h2 != t2)


def mask_of(buckets: Iterable[int]) -> bytes:
    """One byte for each bucket, 1 for these: what a query takes."""
    mask = bytearray(BUCKETS)
    for bucket in buckets:
        mask[bucket] = 1
    return bytes(mask)


@dataclasses.dataclass(slots=True)
class Comparing:
    """When one link compares, and what it made of it. Times in monotonic seconds.

    Args:
        interval: seconds between two comparisons, as long as nothing differs; 0: it never compares.
        due: when the next look is to be made.
    """

    interval: float
    due: float
    at: float | None = None
    """when the last comparison ended"""
    buckets: frozenset[int] = frozenset()
    """what differed at it"""
    offered: int = 0
    """rows that were offered because of all of them"""
    hindered: bool = False
    """is more left out than is remembered, so that nothing is compared?"""
    _first: tuple[Sums, Sums] | None = None
    _repeated: int = 0

    @property
    def is_second(self) -> bool:
        """Is the next look the second one of a comparison?"""
        return self._first is not None

    @property
    def lasts(self) -> bool:
        """Did offering the rows of what differed not help?"""
        return self._repeated > 0

    def is_due(self, now: float) -> bool:
        """Is it time for a look?"""
        return self.interval > 0 and now >= self.due

    def put_off(self, now: float) -> None:
        """No look can be made now: something is under way, there or here."""
        self._first = None
        self.due = now + self._apart

    def same(self, now: float) -> None:
        """Both sides have the same sums."""
        self._ended(now, frozenset())

    def looked(self, here: Sums, there: Sums, now: float, moving: Container[int] = ()) -> frozenset[int]:
        """The sums of both sides at one look; at the second one, the buckets whose rows are to be offered: those that
        differ and are not `moving`."""
        if self._first is None:
            self._first = here, there
            self.due = now + self._apart
            return frozenset()
        differ = differing((self._first[0], here), (self._first[1], there))
        buckets = frozenset(bucket for bucket in differ if bucket not in moving)
        self._ended(now, buckets)
        return buckets

    def begin_anew(self, now: float) -> None:
        """The connection is another one: what was seen of the one before is not compared with."""
        self._first = None
        self.due = max(self.due, now + self._apart)

    @property
    def _apart(self) -> float:
        return min(APART, self.interval)

    def _ended(self, now: float, buckets: frozenset[int]) -> None:
        self._first = None
        self._repeated = self._repeated + 1 if buckets and buckets <= self.buckets else 0
        self.at, self.buckets = now, buckets
        self.due = now + max(self.interval, min(LAST, self.interval * 2.0 ** min(self._repeated, 30)))
