"""Directories that stop being one, in a batch: what takes the place of one lands with all that dies beneath it.

A visitor who follows a path into such a directory finds it whole until it is something else, if that is one step: so
the sender lets the deletions beneath it travel in its batch, before it, and the receiver lands them together.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sidecar.core import paths
from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.frames import Entry
from sidecar.core.paths import RelPath

MOST: Final = 5000
"""Deletions beneath one directory that land in one step with what replaces it, some 0.6 ms of work each in one go; more
of them go path by path."""


def replaced(entries: Sequence[Entry]) -> dict[int, tuple[int, ...]]:
    """By its index in the batch each entry that shows no directory, and the indexes of the tombstones beneath it that
    come before it."""
    kinds = [_kind(entry) for entry in entries]
    over = {e.path: at for at, e in enumerate(entries) if kinds[at] in (Kind.FILE, Kind.SYMLINK)}
    dead: dict[int, list[int]] = {}
    for at, entry in enumerate(entries):
        if kinds[at] is Kind.TOMBSTONE:
            by = next((over[above] for above in paths.ancestors(entry.path) if above in over), -1)
            if by > at:
                dead.setdefault(by, []).append(at)
    return {by: tuple(beneath) for by, beneath in dead.items() if len(beneath) <= MOST}


def slices(count: int, size: int, together: Mapping[int, tuple[int, ...]]) -> Iterator[range]:
    """`count` entries in slices of about `size`: what lands together is never cut apart."""
    spans = sorted((min(beneath), by + 1) for by, beneath in together.items())
    start = 0
    while start < count:
        stop = min(start + size, count)
        for first, end in spans:
            if first < stop < end:
                stop = end
        yield range(start, stop)
        start = stop


def moving(
    tombstones: Mapping[RelPath, Entry], entries: Sequence[Entry], together: Mapping[int, tuple[int, ...]]
) -> dict[RelPath, Entry]:
    """The tombstones whose content a rename of the same batch may take: not of what leaves with its directory, which
    would have a hole until then."""
    whole = {entries[at].path for beneath in together.values() for at in beneath}
    return {path: entry for path, entry in tombstones.items() if path not in whole}


def _kind(entry: Entry) -> Kind | None:
    best = versions.winner(entry.version)
    return best.kind if best is not None else None
