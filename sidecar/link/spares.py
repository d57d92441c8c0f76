"""rsyncs kept warm: connected, hands shaken, waiting for names, so that a change costs a round trip and its bytes."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import structlog

from sidecar.link.master import Master
from sidecar.link.rsync import Spare, Transfer, arguments

log = structlog.get_logger(__name__)

IDLE_LIFE: Final = 900.0
"""Seconds after which a spare that nobody took is replaced: it was seen to work that long."""
AT_REST: Final = 1
"""So many are kept where none was taken for `REST`: for the next change; what is small and comes soon after travels in
frames."""
REST: Final = 10.0
"""Seconds."""
REFILL_PAUSE: Final = 0.005
"""Seconds between the taking of a spare and the start of the next one, which would else compete with the batch for the
processor: 1.4 instead of 2.6 ms until a file is staged, measured on two cores that did the work of both ends."""
_TOO_SHORT: Final = 5.0
"""Seconds: a spare that ended earlier, untaken, did not work, and the next one waits a while."""


class Spares:
    """The warm rsyncs of one lane of one link.

    Args:
        node: the name of this node; batch ids begin with it.
        count: how many are kept while they are used, `AT_REST` otherwise; 0 starts each when it is taken.
        delays: seconds to wait before the n-th start in a row after failures, n from 0.
        changed: called when one became ready.
    """

    def __init__(
        self,
        master: Master,
        transfer: Transfer,
        node: str,
        count: int,
        *,
        delays: Callable[[int], float],
        changed: Callable[[], None],
    ) -> None:
        self._master = master
        self._transfer = transfer
        self._node = node
        self._count = count
        self._delays = delays
        self._changed = changed
        self._waiting: list[Spare] = []
        self._taken: set[Spare] = set()
        """taken or dropped, and not ended yet"""
        self._taken_at = -REST
        self._keeps = count
        self._failures = 0
        self._wake = asyncio.Event()

    @property
    def ready(self) -> int:
        """How many would send at once."""
        return sum(spare.ready for spare in self._waiting)

    @property
    def busy(self) -> bool:
        """Does one send?"""
        return bool(self._taken)

    @property
    def full(self) -> bool:
        """Would as many send at once as are kept now?"""
        return 0 < self._keeps <= self.ready

    def take(self, batch: str = "", size: int = 0) -> Spare:
        """A spare for one batch: a ready one, else one that is being started, else a new one.

        Args:
            batch: send under this id, to go on with a batch that was cut off; such a one is always new.
            size: bytes of the one file that it is for; 0: of no one. What is started for it knows its blocks.
        """
        spare = self._start(batch, size) if batch or not self._waiting else self._best()
        self._taken.add(spare)
        self._taken_at = time.monotonic()
        self._wake.set()
        return spare

    async def run(self) -> None:
        """Keep them warm until cancelled; then all are ended, those with names too."""
        try:
            while True:
                await self._master.wait_up()
                keeping = asyncio.create_task(self._keep())
                cut = asyncio.create_task(self._master.wait_down())
                try:
                    await asyncio.wait((keeping, cut), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    keeping.cancel()
                    cut.cancel()
                # an rsync that waits for names does not notice that its connection is gone
                self._drop(self._waiting)
        finally:
            last = (*self._waiting, *self._taken)
            self._drop(last)
            await asyncio.gather(*(spare.wait_ended() for spare in last))

    async def _keep(self) -> None:
        while True:
            self._wake.clear()
            await asyncio.sleep(REFILL_PAUSE)
            now = time.monotonic()
            self._drop([spare for spare in self._waiting if now - spare.born > IDLE_LIFE])
            rests_in = self._taken_at + REST - now
            self._keeps = self._count if rests_in > 0 else min(self._count, AT_REST)
            self._drop(self._waiting[self._keeps :])
            while len(self._waiting) < self._keeps:
                self._waiting.append(self._start())
            with suppress(TimeoutError):
                async with asyncio.timeout(rests_in if self._keeps > AT_REST else IDLE_LIFE / 10):
                    await self._wake.wait()
            if self._failures:
                await asyncio.sleep(self._delays(self._failures - 1))

    def _drop(self, spares: Iterable[Spare]) -> None:
        for spare in tuple(spares):
            spare.kill()
            if spare in self._waiting:
                self._waiting.remove(spare)
                self._taken.add(spare)

    def _best(self) -> Spare:
        at = next((n for n, spare in enumerate(self._waiting) if spare.ready), 0)
        return self._waiting.pop(at)

    def _start(self, batch: str = "", size: int = 0) -> Spare:
        batch = batch or f"{self._node}.{secrets.token_hex(8)}"
        ssh, region = self._master.command(), self._master.peer.region
        # rsync puts the host behind what it is told to run
        argv = arguments(self._transfer, ssh[:-1], region, batch, size)
        return Spare(argv, self._master.env, batch, delta=self._transfer.delta, changed=self._spare_changed)

    def _spare_changed(self, spare: Spare) -> None:
        if spare.ready:
            self._failures = 0
            if spare in self._waiting:
                self._changed()
            return
        self._taken.discard(spare)
        if spare in self._waiting:
            self._waiting.remove(spare)
            self._failures += time.monotonic() - spare.born < _TOO_SHORT
        self._wake.set()
