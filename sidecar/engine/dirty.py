"""The paths that events marked: collected while others are worked on, each once, in the order of their last event."""

import asyncio
import dataclasses
import time
from collections.abc import Iterable
from typing import Final

from sidecar.core.paths import RelPath

LOOK_AGAIN: Final = 0.25
"""Seconds until a file that was being written is looked at again, unless its close says so before."""


@dataclasses.dataclass(slots=True)
class Dirty:
    """Paths to look at; those that could not be looked at yet come back when they are due."""

    paths: dict[RelPath, None] = dataclasses.field(default_factory=dict)
    later: dict[RelPath, float] = dataclasses.field(default_factory=dict)
    """when a path that was put off is due again (monotonic seconds)"""
    written: set[RelPath] = dataclasses.field(default_factory=set)
    """those of them that somebody had open for writing when they were looked at"""
    _wake: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    def __contains__(self, path: RelPath) -> bool:
        return path in self.paths or path in self.later

    def mark(self, *paths: RelPath) -> None:
        """Events named `paths`, or whoever wants them looked at: what each may lead to was named before it, so it goes
        to the end."""
        self._mark(paths)
        self._wake.set()

    def _mark(self, paths: Iterable[RelPath]) -> None:
        for path in paths:
            self.later.pop(path, None)
            self.written.discard(path)
            self.paths.pop(path, None)
            self.paths[path] = None

    def take(self) -> list[RelPath]:
        """All marked paths; they are no longer marked."""
        taken, self.paths = list(self.paths), {}
        return taken

    def put_off(self, path: RelPath, seconds: float) -> None:
        """`path` is looked at again after `seconds`, or at its next event; not later than was said before."""
        self.put_off_until(path, time.monotonic() + seconds)

    def put_off_until(self, path: RelPath, due: float) -> None:
        """The same until `due` (monotonic seconds)."""
        if path not in self.paths:
            self.later[path] = min(due, self.later.get(path, due))

    def is_written(self, path: RelPath) -> None:
        """Somebody writes `path` just now."""
        self.put_off(path, LOOK_AGAIN)
        if path in self.later:
            self.written.add(path)

    def wake_due(self) -> None:
        """Mark what was put off and is due."""
        now = time.monotonic()
        self._mark([path for path, at in self.later.items() if at <= now])

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def woken(self) -> None:
        """Returns when there may be something to do: something was marked, or what was put off may be due."""
        try:
            async with asyncio.timeout(LOOK_AGAIN if self.later else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
