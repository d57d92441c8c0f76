"""What a node tells a peer that asks: are our indexes the same, what do you show there, is all that you hold
undamaged?"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from sidecar.core import compare, observe, paths
from sidecar.core import version as versions
from sidecar.core.entry import APART, Dot, Flag, Head, Kind, Row, marked
from sidecar.core.frames import Check, Checked, Compare, Compared, Frame, Look, Mark, Question, Seen, Shows, Verdict
from sidecar.core.ignore import Excluded, within_excluded
from sidecar.engine.checksum import Checking, Checksum
from sidecar.engine.comparing import Way, resting, rows_in, sums_for
from sidecar.engine.identity import Identity
from sidecar.errors import ProtocolViolation
from sidecar.index.store import Index

LISTED: Final = 1000
"""Paths that one answer lists."""
WAITING: Final = 8
"""Questions of a peer that wait for their answer."""
TOLD: Final = 0.5
"""Seconds between two words of how far a check is."""


def shown(row: Row) -> Shows:
    """What lies there, and why that may be another thing than elsewhere."""
    if marked(row.flags, Flag.FOUND):
        there = observe.head_of(row.stat, row.hash, Dot(0, 0)) if row.stat is not None else None
        return Shows(row.path, there, Mark.FOUND)
    best = versions.winner(row.version)
    if best is not None and best.kind is Kind.TOMBSTONE:
        best = None
    if marked(row.flags, Flag.FORGOTTEN):
        return Shows(row.path, best, Mark.FORGOTTEN)
    return Shows(row.path, best, Mark.HELD if marked(row.flags, Flag.HELD) else Mark.NONE)


def summand(row: Row) -> int:
    """The number of a row for a look: 0 if it differs in any case."""
    return 0 if marked(row.flags, APART) else compare.sum_of(row.path, row.version)


class Answerer:
    """Answers one peer, one question after the other.

    Args:
        excluded: what is never replicated here.
        checksum: hashes all files.
        ways: the directions between this node and the peer.
        say: sends a frame.
    """

    def __init__(
        self,
        me: Identity,
        excluded: Excluded,
        checksum: Checksum,
        *,
        ways: Callable[[], Iterable[Way]],
        say: Callable[[Frame], None],
    ) -> None:
        self._me = me
        self._excluded = excluded
        self._checksum = checksum
        self._ways = ways
        self._say = say
        self._asked: asyncio.Queue[Compare | Look] = asyncio.Queue(WAITING)
        self._checks: asyncio.Queue[Check] = asyncio.Queue(WAITING)

    def asked(self, frame: Question) -> None:
        """The peer asks. Raises ProtocolViolation: before it has heard the answers to what it asked before."""
        try:
            if isinstance(frame, Check):
                self._checks.put_nowait(frame)
            else:
                self._asked.put_nowait(frame)
        except asyncio.QueueFull:
            raise ProtocolViolation("asked again and again without waiting for an answer") from None

    async def run(self) -> None:
        """Answer until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answers())
            group.create_task(self._check())

    async def _answers(self) -> None:
        while True:
            frame = await self._asked.get()
            if isinstance(frame, Compare):
                self._say(await self._compared(frame))
            else:
                self._say(await seen(self._me.index, self._excluded, frame))

    async def _compared(self, frame: Compare) -> Compared:
        since = max(self._me.index.complete_since_us, frame.complete_since)
        ways = tuple(self._ways())
        sending = any(way.box is not None and not resting(way.box, time.monotonic()) for way in ways)
        sums = await sums_for(self._me.index, ways, since) if self._me.found_done and not sending else None
        if sums is None:
            return Compared(frame.number, Verdict.BUSY, since)
        if compare.digest_of(sums) == frame.digest:
            return Compared(frame.number, Verdict.SAME, since, apart=self._apart())
        return Compared(frame.number, Verdict.DIFFERENT, since, sums, self._apart())

    def _apart(self) -> bool:
        return bool(self._me.index.flagged(APART, 1))

    async def _check(self) -> None:
        while True:
            frame = await self._checks.get()
            said = 0.0

            def told(done: Checking, number: int = frame.number) -> None:
                nonlocal said
                if time.monotonic() - said > TOLD:
                    said = time.monotonic()
                    self._say(Checked(number, done.files, done.total, ended=False))

            done = await self._checksum.run(told)
            damaged = tuple(done.damaged[:LISTED])
            self._say(Checked(frame.number, done.files, done.total, True, len(done.damaged), damaged))


async def seen(index: Index, excluded: Excluded, look: Look) -> Seen:
    """What is shown at the paths of some buckets where the rows are others than the peer's."""
    there = {paths.checked(path): (number, is_dir) for path, number, is_dir in look.rows}
    differ: list[Shows] = []
    async for row in rows_in(index, look.buckets):
        known = there.pop(row.path, None)
        if known is None or known[0] == 0 or known[0] != summand(row):
            differ.append(shown(row))
    for path, (_, is_dir) in there.items():
        mark = Mark.EXCLUDED if within_excluded(excluded, path, is_dir) else Mark.NONE
        differ.append(Shows(path, None, mark))
    return Seen(look.number, tuple(differ[:LISTED]), max(0, len(differ) - LISTED))


def same(one: Head | None, other: Head | None) -> bool:
    """Do both show the same to a visitor, whoever wrote it?"""
    if one is None or other is None:
        return one is other
    return (one.mode, one.mtime_ns) == (other.mode, other.mtime_ns) and one.same_content(other)
