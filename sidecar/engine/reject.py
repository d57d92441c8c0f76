"""What a person does not want to be deleted comes back: the rejection of a scan's hold."""

import asyncio
from collections.abc import Iterable
from typing import Final

from sidecar.core.entry import Row
from sidecar.core.paths import RelPath
from sidecar.core.ports import Unreachable
from sidecar.engine.replica import Replica, on_disk
from sidecar.index.store import Index

AT_ONCE: Final = 10_000
"""Rows forgotten in one transaction."""


async def forget_missing(index: Index, replica: Replica, gone: Iterable[RelPath]) -> int:
    """Forget the rows of what is `gone`, and was beneath it, and still is not there: without a tombstone, as on a new
    volume, so that the peers' rows bring it back. How many there were.

    Every transaction also takes back what is settled of the peers: a kill in between leaves nothing forgotten that is
    not offered again.
    """
    missing = [row.path for path in gone for row in _known(index, path) if _is_missing(replica, row)]
    for start in range(0, len(missing), AT_ONCE):
        with index.transaction():
            index.ask_anew()
            for path in missing[start : start + AT_ONCE]:
                index.remove(path)
        await asyncio.sleep(0)
    return len(missing)


def _known(index: Index, path: RelPath) -> list[Row]:
    row = index.get(path)
    return on_disk([*([row] if row is not None else []), *index.beneath(path)])


def _is_missing(replica: Replica, row: Row) -> bool:
    try:
        return replica.disk.look(row.path) is None
    except Unreachable:
        return False
