"""Large files that were cut off go on where they were: what arrived is kept, and their next rsync begins with it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from sidecar.core.paths import RelPath, shown
from sidecar.errors import GeorootError, NeedsHelp
from sidecar.fs import partial
from sidecar.fs.faults import Missing, NoSpace
from sidecar.fs.partial import Note
from sidecar.fs.root import WebRoot
from sidecar.index.store import Index
from sidecar.link import orphans

log = structlog.get_logger(__name__)

ANNOUNCED: Final = 3.0
"""Seconds that the frame of a batch may come after the rsync that brings it."""
COMPLETING: Final = 8.0
"""Seconds in which it is filled in from what the web root has: the rsync that waits for it has 15 to shake hands."""
KEPT: Final = 86_400.0
"""Seconds that a partial file is kept which nobody goes on with."""
MOST: Final = 8
"""Partial files of a region: a node sends one large file at a time."""


class Partials:
    """Those of all regions.

    Args:
        inbox: where batches arrive.
    """

    def __init__(self, root: WebRoot, index: Index, inbox: str) -> None:
        self._root = root
        self._index = index
        self._inbox = inbox
        self._announced: dict[tuple[str, str], tuple[RelPath, int]] = {}
        """path and size of what each batch under way brings"""
        self._coming: dict[tuple[str, str], asyncio.Event] = {}
        self._held: dict[tuple[str, str], str] = {}
        """by region and name: the batch that writes to a partial file, or is about to leave one"""

    def begin(self) -> None:
        """At start, before the inbox is emptied: what a kill cut off."""
        for one in list(partial.kept(self._root)):
            self._rescue(one.region, one.note)
        self.expire()

    def announced(self, region: str, batch: str, path: RelPath, size: int) -> None:
        """A batch brings one large file, of `size` bytes."""
        self._announced[region, batch] = path, size
        if (region, batch) in self._coming:
            self._coming[region, batch].set()

    async def ready(self, region: str, batch: str) -> str:
        """An rsync is about to write this batch. The name of the partial file with which it is to go on, ready for
        that; "" if there is none."""
        what = await self._what(region, batch)
        if what is None:
            return ""
        path, size = what
        name, note = partial.name_of(path), Note(batch, self._base(path), path)
        holder = self._held.get((region, name))
        if holder is not None and _node(holder) != _node(batch):
            return ""  # another node of the region sends it too
        self._held[region, name] = batch
        try:
            return await asyncio.to_thread(self._prepared, region, name, note, size)
        except GeorootError as error:
            log.warning("a large file begins anew", path=shown(path), why=str(error))
            return ""

    async def _what(self, region: str, batch: str) -> tuple[RelPath, int] | None:
        if (region, batch) not in self._announced and (region, batch) not in self._coming:
            self._coming[region, batch] = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(ANNOUNCED):
                    await self._coming[region, batch].wait()
            del self._coming[region, batch]
        return self._announced.get((region, batch))

    def _prepared(self, region: str, name: str, note: Note, size: int) -> str:
        root, before = self._root, partial.noted(self._root, region, name)
        if before is not None and before.batch != note.batch:
            orphans.end_those_into(f"{self._inbox}/{region}/{before.batch}")
            if before.base == note.base:
                partial.rescue(root, region, before)
            else:
                partial.discard(root, region, name)
        begun = False
        with suppress(Missing):
            begun = self._completed(region, note, size)
        if not begun:
            partial.discard(root, region, name)
        noted = partial.note(root, region, name, note)
        if begun and noted:
            log.info("a large file goes on", path=shown(note.path), peer=region)
        return name if begun and noted else ""

    def _completed(self, region: str, note: Note, size: int) -> bool:
        try:
            return partial.complete(self._root, region, note.path, size, COMPLETING)
        except NoSpace:
            # as far as it got: it takes no more space than the rsync will
            return partial.size_of(self._root, region, note.path) > 0

    def left(self, region: str, batch: str, *, again: bool) -> None:
        """The batch is over, and its directory about to go. `again`: its file is to come again, with what there is of
        it.

        Raises:
            NeedsHelp: the disk does not let it be kept, or go.
        """
        what = self._announced.pop((region, batch), None)
        name = partial.name_of(what[0]) if what is not None else ""
        if self._held.get((region, name)) != batch or what is None:
            return
        del self._held[region, name]
        note = partial.noted(self._root, region, name)
        if again and note is not None and note.batch == batch:
            partial.rescue(self._root, region, note)
        if not again or not partial.size_of(self._root, region, what[0]):
            partial.discard(self._root, region, name)

    def make_room(self) -> None:
        """The disk is full: what nobody goes on with just now goes."""
        self._drop(lambda _: True)

    def expire(self) -> None:
        """What is old goes, and what is of a file that is another by now; of each region all but the newest."""
        now, counts = time.time(), dict[str, int]()

        def due(one: partial.Kept) -> bool:
            counts[one.region] = counts.get(one.region, 0) + 1
            obsolete = self._base(one.note.path) != one.note.base
            return obsolete or counts[one.region] > MOST or now - one.at > KEPT

        self._drop(due)

    def _drop(self, due: Callable[[partial.Kept], bool]) -> None:
        with suppress(NeedsHelp):  # what the disk does not let go now goes in another round
            for one in sorted(partial.kept(self._root), key=lambda one: one.at, reverse=True):
                if (one.region, one.name) not in self._held and due(one):
                    partial.discard(self._root, one.region, one.name)

    def _base(self, path: RelPath) -> bytes:
        """What the web root has there: a partial file is gone on with only over what it was begun over."""
        row = self._index.get(path)
        return row.hash if row is not None else b""

    def _rescue(self, region: str, note: Note) -> None:
        try:
            partial.rescue(self._root, region, note)
        except GeorootError as error:
            log.warning("what arrived of a large file is lost", path=shown(note.path), why=str(error))


def _node(batch: str) -> str:
    return batch.rpartition(".")[0]
