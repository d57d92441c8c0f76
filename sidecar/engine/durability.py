"""What was applied becomes durable off the hot path: one flush in flight, later batches share the next."""

import asyncio
from collections.abc import Callable

from sidecar.core.paths import RelPath


class Durability:
    """Group commit of fsync.

    Args:
        flush: makes these paths of the web root and all committed rows survive a power loss; runs in an executor.
    """

    def __init__(self, flush: Callable[[list[RelPath]], None]) -> None:
        self._flush = flush
        self._paths: list[RelPath] = []
        self._next: asyncio.Future[None] | None = None
        self._running = False

    def touched(self, path: RelPath) -> None:
        """`path` was changed here: the next flush takes it along."""
        self._paths.append(path)

    async def reached(self) -> None:
        """Returns when everything touched and committed before the call is durable."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        mine = self._next
        if not self._running:
            self._running = True
            self._task = asyncio.ensure_future(self._run())
        await asyncio.shield(mine)

    async def _run(self) -> None:
        try:
            while self._next is not None:
                waiting, self._next = self._next, None
                paths, self._paths = self._paths, []
                try:
                    await asyncio.to_thread(self._flush, paths)
                except Exception as error:  # noqa: BLE001 - whoever waits for it is told
                    # nothing of it may be called durable: the next flush takes it along
                    self._paths[:0] = paths
                    waiting.set_exception(error)
                    waiting.exception()
                else:
                    waiting.set_result(None)
        finally:
            self._running = False
