"""A new index that waits for a person to say who wins: until then nothing of a peer is applied and nothing is sent.

What was decided is kept in a file, so that a kill before all that was found has its version changes nothing. It stays,
as over: what the same index finds later, as after a power loss, is no first contact.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from sidecar.core import join
from sidecar.core import version as versions
from sidecar.core.entry import Kind
from sidecar.core.found import Prefer
from sidecar.core.frames import Answer, Batch, Lane, Outcome
from sidecar.core.ignore import Excluded, within_excluded
from sidecar.core.join import Relation, Tally
from sidecar.core.paths import ROOT
from sidecar.engine.orders import Compared
from sidecar.errors import GeorootError
from sidecar.fs import durable
from sidecar.index.store import Index

log = structlog.get_logger(__name__)

WHY: Final = "the node waits for `sidecar join`"
AT_ONCE: Final = 2000
"""Rows looked at before others have their turn."""


class Decision(msgspec.Struct, frozen=True):
    """What was decided for the index of this `epoch`; `over`: and was done."""

    epoch: int
    prefer: Prefer
    over: bool = False


@dataclasses.dataclass(slots=True)
class _Heard:
    """What a peer has offered over its newest connection; `complete`: all; `stale`: it has changed more since."""

    tally: Tally = dataclasses.field(default_factory=Tally)
    complete: bool = False
    stale: bool = False


class Joining:
    """Whether the node waits for `join`, and what was decided.

    Args:
        path: the file that keeps the decision.
        asked: wait for a decision, if the index is new and none was made.
        released: called when it is made: the peers are to offer everything anew.
    """

    def __init__(
        self,
        index: Index,
        path: str,
        *,
        asked: bool,
        excluded: Excluded,
        now_us: Callable[[], int],
        released: Callable[[], None],
    ) -> None:
        self._index = index
        self._path = path
        self._excluded = excluded
        self._now_us = now_us
        self._released = released
        self._asked = asked
        self._heard: dict[str, _Heard] = {}
        self.prefer = Prefer.NEWEST
        self.decided = asyncio.Event()
        """nothing is waited for any more"""
        decision = self._kept()
        if decision is not None:
            self.prefer = Prefer.NEWEST if decision.over else decision.prefer
        if decision is not None or not asked or not index.new_index:
            self.decided.set()
            return
        index.ask_anew()  # what is to be compared is all of it

    @property
    def waits(self) -> bool:
        """Does the node wait for a person?"""
        return not self.decided.is_set()

    # -- what the peers have

    def begun(self, region: str) -> None:
        """A node of the region connected, and offers everything from the first on."""
        self._heard[region] = _Heard()

    def compared_all(self, region: str) -> None:
        """It has offered everything."""
        self._heard.setdefault(region, _Heard()).complete = True

    def put_off(self, region: str, batch: Batch) -> list[Answer]:
        """Nothing of the batch is applied; what it offers is compared. The answers to it."""
        heard = self._heard.setdefault(region, _Heard())
        if batch.lane is not Lane.OFFER or heard.complete:  # what is offered again would count twice
            heard.stale = True
            return _held(batch)
        for entry in batch.entries:
            best = versions.winner(entry.version)
            is_dir = best is not None and best.kind is Kind.DIR
            if not within_excluded(self._excluded, entry.path, is_dir):
                heard.tally.add(self._index.get(entry.path), entry.version, self._now_us())
        return _held(batch)

    def compare_anew(self) -> None:
        """Have everything offered again, if what was compared is not what there is."""
        if any(heard.stale for heard in self._heard.values()):
            self._heard.clear()
            self._released()

    def complete(self, region: str) -> bool:
        """Is everything compared that the region has?"""
        return region in self._heard and self._heard[region].complete

    async def compared(self, region: str, problem: str) -> Compared:
        """How the region and this node compare; `problem`: why that is not known in full."""
        tally = self._heard.get(region, _Heard()).tally
        count, size = 0, 0
        for row in self._index.beneath(ROOT, live_only=True):
            count += 1
            size += join.size_of(row)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        there, here_later = tally.of(Relation.THERE), tally.of(Relation.LATER_HERE)
        there_later, deleted = tally.of(Relation.LATER_THERE), tally.of(Relation.DELETED)
        return Compared(
            region=region,
            problem=problem,
            same=tally.of(Relation.SAME).paths,
            here=max(0, count - tally.met.paths),
            here_bytes=max(0, size - tally.met.here),
            there=there.paths,
            there_bytes=there.there,
            later_here=here_later.paths,
            later_there=there_later.paths,
            later_here_bytes=(here_later.here, here_later.there),
            later_there_bytes=(there_later.here, there_later.there),
            deleted=deleted.paths,
            deleted_bytes=deleted.here,
        )

    # -- the decision

    def decide(self, prefer: Prefer) -> None:
        """A person has: from now on what was found is judged so.

        Raises:
            Retryable, NeedsHelp: it cannot be kept for the next start.
        """
        durable.publish(self._path, msgspec.json.encode(Decision(self._index.epoch, prefer)))
        log.info("joining", prefer=prefer.value)
        self.prefer = prefer
        self.decided.set()
        self._released()

    def nothing_found(self) -> None:
        """The web root is empty: there is nothing to decide."""
        self.decided.set()
        self._released()

    def done(self) -> None:
        """Everything that was found has its version: what comes later is no first contact."""
        self.prefer = Prefer.NEWEST
        self.decided.set()
        kept = self._kept()
        if (self._asked or kept is not None) and kept != self._over:
            try:
                durable.publish(self._path, msgspec.json.encode(self._over))
            except GeorootError as error:  # at worst a person is asked once more than it needs
                log.warning("that the regions have joined cannot be noted", problem=str(error))

    @property
    def _over(self) -> Decision:
        return Decision(self._index.epoch, Prefer.NEWEST, over=True)

    def _kept(self) -> Decision | None:
        try:
            kept = msgspec.json.decode(Path(self._path).read_bytes(), type=Decision)
        except (OSError, msgspec.MsgspecError):
            return None
        return kept if kept.epoch == self._index.epoch else None


def _held(batch: Batch) -> list[Answer]:
    # one hint a batch: a peer lists each path that has one
    return [Answer(index, Outcome.HELD, hint="" if index else WHY) for index in range(len(batch.entries))]
