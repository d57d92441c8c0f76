"""Are all regions identical? Each peer's index against this one's, down to the paths that differ; files hashed anew."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from sidecar.core import compare
from sidecar.core.entry import APART, Head, Kind
from sidecar.core.frames import Check, Checked, Compare, Compared, Look, Mark, Seen, Shows, Verdict
from sidecar.core.ignore import within_excluded
from sidecar.core.paths import RelPath
from sidecar.engine.answering import LISTED, same, shown, summand
from sidecar.engine.comparing import rows_in, sums_for
from sidecar.engine.link import Link
from sidecar.engine.node import Node
from sidecar.engine.orders import Differing, RegionVerified, Verified, VerifyProgress, What
from sidecar.engine.outbound import Outbound
from sidecar.errors import GeorootError, Retryable

ROWS: Final = 5000
"""Rows of this node about which one look asks, about."""
PATIENCE: Final = 60.0
"""Seconds for which a region that is being sent something is waited for."""
AGAIN: Final = 1.0
"""Seconds between two looks: what differs at both, and alike, differs; all else is on its way."""
LOOKS: Final = 20

Told = Callable[[VerifyProgress], None]
Differences = dict[RelPath, Differing]


async def verify(node: Node, links: Iterable[Link], *, checksum: bool, told: Told) -> Verified:
    """Compare this node with the peers of `links`; `checksum`: every file is hashed here and there before that.

    `told` hears how far it is.
    """
    await node.scanned.wait()
    await node.watching.caught_up()
    checks: list[asyncio.Task[_Region]] = []
    async with asyncio.TaskGroup() as group:
        here = group.create_task(_checked_here(node, told)) if checksum else None
        checks = [group.create_task(_checked_there(_Region(node, link), told, checksum=checksum)) for link in links]
    damaged = here.result() if here is not None else []
    regions = [await region.result().verified(told) for region in checks]
    return Verified(
        files=node.index.counts()[Kind.FILE],
        damaged=tuple(damaged[:LISTED]),
        damaged_count=len(damaged),
        regions=tuple(regions),
    )


async def _checked_here(node: Node, told: Told) -> list[RelPath]:
    done = await node.checksum.run(lambda done: told(VerifyProgress("", done.files, done.total)))
    return done.damaged


async def _checked_there(region: "_Region", told: Told, *, checksum: bool) -> "_Region":
    if checksum:
        await region.check(told)
    return region


class _Region:
    """One peer, as it is compared with this node."""

    def __init__(self, node: Node, link: Link) -> None:
        self._node = node
        self._link = link
        self._name = link.peer.region
        self._checked: Checked | None = None
        self._problem = ""

    async def check(self, told: Told) -> None:
        """Have it hash all that it holds."""

        def ends(answer: Checked) -> bool:
            told(VerifyProgress(self._name, answer.files, answer.total))
            return answer.ended

        try:
            self._checked = await self._outbound().checking.ask(Check(), Checked, ends)
        except GeorootError as error:
            self._problem = str(error)

    async def verified(self, told: Told) -> RegionVerified:
        """What differs between it and this node."""
        differing: Differences = {}
        if not self._problem:
            try:
                differing = await self._lasting(told)
            except GeorootError as error:
                self._problem = str(error)
        checked = self._checked
        return RegionVerified(
            region=self._name,
            problem=self._problem,
            differing=tuple(differing[path] for path in sorted(differing)[:LISTED]),
            differing_count=len(differing),
            damaged=checked.damaged if checked is not None else (),
            damaged_count=checked.count if checked is not None else 0,
        )

    def _outbound(self) -> Outbound:
        outbound = self._link.outbound
        if not self._node.going.is_set():
            raise Retryable("it is paused here: `sidecar resume`")
        if outbound is None or outbound.box is None:
            raise Retryable(self._link.master.problem or self._link.problem or "there is no link yet")
        return outbound

    async def _lasting(self, told: Told) -> Differences:
        """What differs at two looks, and alike."""
        before = await self._looked(told)
        for _ in range(LOOKS):
            if not before:
                break
            await asyncio.sleep(AGAIN)
            now = await self._looked(told)
            both = {path: found for path, found in now.items() if before.get(path) == found}
            if len(both) == len(now):
                return both
            before = now
        return before

    async def _looked(self, told: Told) -> Differences:
        outbound = self._outbound()
        buckets = sorted(await self._buckets(outbound))
        step = max(1, ROWS * compare.BUCKETS // (1 + sum(self._node.index.counts().values())))
        found: Differences = {}
        for at in range(0, len(buckets), step):
            told(VerifyProgress(self._name, at, len(buckets)))
            found |= await self._look(outbound, tuple(buckets[at : at + step]))
        return found

    async def _buckets(self, outbound: Outbound) -> set[int]:
        """Those that may differ."""
        index, until = self._node.index, time.monotonic() + PATIENCE
        while True:
            told = await outbound.asking.ask(Compare(b"", index.complete_since_us), Compared)
            if told.verdict is Verdict.DIFFERENT:
                break
            if time.monotonic() > until:
                raise Retryable("it is busy: it is being sent more than can be waited for, or holds most of the tree")
            await asyncio.sleep(AGAIN)
        ways = outbound.ways()
        mine = await sums_for(index, ways, told.since)
        if mine is None:
            raise Retryable("too many paths are held or excluded there: see `sidecar status`")
        pairs = zip(compare.numbers_of(mine), compare.numbers_of(compare.checked(told.sums)), strict=True)
        odd = {path for way in ways for path in way.left_out}
        odd |= {row.path for row in index.flagged(APART)}
        return {n for n, (here, there) in enumerate(pairs) if here != there} | {compare.bucket_of(path) for path in odd}

    async def _look(self, outbound: Outbound, buckets: tuple[int, ...]) -> Differences:
        rows = {row.path: row async for row in rows_in(self._node.index, buckets)}
        asked = tuple(
            (row.path, summand(row), row.stat is not None and row.stat.kind is Kind.DIR) for row in rows.values()
        )
        answer = await outbound.asking.ask(Look(buckets, asked), Seen)
        found: Differences = {}
        for there in answer.paths:
            row = self._node.index.get(there.path)
            here = shown(row) if row is not None else Shows(there.path, None)
            if self._differs(here, there):
                why = _why(here, there) or outbound.problems.get(there.path, "")
                found[there.path] = Differing(there.path, _what(here.head), _what(there.head), why)
        return found

    def _differs(self, here: Shows, there: Shows) -> bool:
        is_dir = there.head is not None and there.head.kind is Kind.DIR
        if there.mark is Mark.EXCLUDED or within_excluded(self._node.excluded, there.path, is_dir):
            return False
        return Mark.FOUND in (here.mark, there.mark) or not same(here.head, there.head)


def _why(here: Shows, there: Shows) -> str:
    said = {
        Mark.HELD: "a newer version is held {}",
        Mark.FOUND: "found {}: damaged, or not what was written",
        Mark.FORGOTTEN: "held {} as forgotten",
    }
    marks = ((here.mark, "here"), (there.mark, "there"))
    return ", ".join(said[mark].format(where) for mark, where in marks if mark in said)


def _what(head: Head | None) -> What | None:
    if head is None:
        return None
    target = head.target.decode("utf-8", "backslashreplace")
    return What(head.kind.name.lower(), head.size, head.mode, head.mtime_ns / 1e9, head.hash.hex(), target)
