"""What an entry that came in does to a row: the decision table of the receiver."""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

from sidecar.core import version as versions
from sidecar.core.entry import Head, Kind, Row, Version


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """Nothing new: every byte and every version is here already."""


@dataclasses.dataclass(frozen=True, slots=True)
class Want:
    """The winner's bytes are not here: nothing is done until they are."""

    hash: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Merge:
    """The winner stays; the row learns of others. `missing` are hashes of losing heads to be asked for."""

    version: Version
    missing: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Show:
    """Another winner: the root is to show `head`, a tombstone included."""

    version: Version
    head: Head
    missing: tuple[bytes, ...]


Action: TypeAlias = Known | Want | Merge | Show


def plan(row: Row, incoming: Version, have: Callable[[bytes], bool], kept: Callable[[bytes], bool]) -> Action:
    """Decide what `incoming` does to `row`, which must describe what lies on the disk.

    `have` tells whether the file bytes with a hash can be had here at all, `kept` whether a losing head's are kept for
    as long as it lives or will be when this is done.
    """
    merged = versions.merge(row.version, incoming)
    missing = lacking(merged, kept)
    before, after = versions.winner(row.version), versions.winner(merged)
    if after is None:
        return Known()  # nobody wrote it, or other writes under dots that we know: no honest node says that
    if after == before:
        return Merge(merged, missing) if merged != row.version or missing else Known()
    if after.kind is Kind.FILE and not _on_disk(row, after) and not have(after.hash):
        return Want(after.hash)
    return Show(merged, after, missing)


def lacking(version: Version, kept: Callable[[bytes], bool]) -> tuple[bytes, ...]:
    """The hashes of losing heads whose bytes are still to be asked for."""
    return tuple(h.hash for h in versions.losers(version) if h.kind is Kind.FILE and not kept(h.hash))


def _on_disk(row: Row, head: Head) -> bool:
    return row.stat is not None and row.stat.kind is Kind.FILE and row.hash == head.hash
