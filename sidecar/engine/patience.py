"""What cannot be done yet (a full disk, a busy index, a disk that fails) is tried again, and said meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from sidecar.errors import NeedsHelp, Retryable
from sidecar.index.faults import IndexDamaged

log = structlog.get_logger(__name__)

T = TypeVar("T")

AGAIN: Final = 2.0
"""Seconds until it is tried again."""


class Patience:
    """One piece of work of a node that must not end it.

    Args:
        what: its name in a sentence, as in "the first scan waits: …".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.problem = ""
        """why it waits, in a line; "": it does not"""

    async def through(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` returns when it gets through. It is begun anew each time, so it must be fit for that.

        Raises:
            IndexDamaged, EnvironmentFault: waiting does not help.
        """
        while True:
            try:
                done = await work()
            except IndexDamaged:
                raise
            except (Retryable, NeedsHelp) as error:
                if not self.problem:
                    log.warning("something waits", what=self._what, problem=str(error))
                self.problem = f"{self._what} waits: {error}"
            else:
                if self.problem:
                    log.info("it goes on", what=self._what)
                self.problem = ""
                return done
            await asyncio.sleep(AGAIN)
