"""What a person does not want to be deleted comes back: the rejection of a scan's hold."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from sidecar.core.entry import Row
from sidecar.core.paths import RelPath
from sidecar.core.ports import Unreachable
from sidecar.engine.replica import Replica
from sidecar.index.store import Index

AT_ONCE: Final = 500
"""Rows looked at, or forgotten in one transaction, before others have their turn."""


async def forget_missing(index: Index, replica: Replica, gone: Iterable[RelPath]) -> int:
    """Forget the rows of what is `gone`, and was beneath it, and still is not there: without a tombstone, as on a new
    volume, so that the peers' rows bring it back. How many there were.

    Every transaction also takes back what is settled of the peers: a kill in between leaves nothing forgotten that is
    not offered again.
    """
    known: list[RelPath] = []
    for row in _known(index, gone):
        known.append(row.path)
        if len(known) % AT_ONCE == 0:
            await asyncio.sleep(0)
    forgotten = 0
    for start in range(0, len(known), AT_ONCE):
        if start:  # not after the last: until the links are cut, a peer may say again what was settled
            await asyncio.sleep(0)
        missing = [path for path in known[start : start + AT_ONCE] if _is_missing(replica, path)]
        if missing:
            with index.transaction():
                index.ask_anew()
                index.set_incomplete()
                for path in missing:
                    index.remove(path)
        forgotten += len(missing)
    if forgotten:
        index.ask_anew()
    return forgotten


def _known(index: Index, gone: Iterable[RelPath]) -> Iterator[Row]:
    for path in gone:
        row = index.get(path)
        if row is not None and row.stat is not None:
            yield row
        yield from index.beneath(path, live_only=True)


def _is_missing(replica: Replica, path: RelPath) -> bool:
    try:
        return replica.disk.look(path) is None
    except Unreachable:
        return False
