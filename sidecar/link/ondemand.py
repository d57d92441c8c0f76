"""A connection that is open while it is used, and for a while after that."""

import asyncio
from collections.abc import Callable
from typing import Final

from sidecar.link.master import Master

LINGER: Final = 10.0
"""Seconds for which it stays open when nobody uses it, twice that at most: a new one takes a third of a second, an open
one 9 MB of both nodes."""


class OnDemand:
    """Opens and closes the connection of `master`; `busy`: is it used just now?"""

    def __init__(self, master: Master, busy: Callable[[], bool]) -> None:
        self._master = master
        self._busy = busy
        self._wanted = asyncio.Event()
        self._opening = 0
        """how many wait until it is open"""

    @property
    def problem(self) -> str:
        """Why it cannot be opened, while it is wanted; "": nothing is wrong."""
        return self._master.problem

    async def opened(self) -> None:
        """Returns when it is open, which it will be for long enough to begin with something."""
        self._opening += 1
        self._wanted.set()
        try:
            await self._master.wait_up()
            self._wanted.set()
        finally:
            self._opening -= 1

    async def run(self) -> None:
        """Open it when it is wanted, close it when it was not used for long, until cancelled.

        Raises:
            EnvironmentFault: there is no ssh.
        """
        while True:
            await self._wanted.wait()
            connection = asyncio.create_task(self._master.run())
            try:
                while not connection.done() and (self._wanted.is_set() or self._opening or self._busy()):
                    self._wanted.clear()
                    await asyncio.wait((connection,), timeout=LINGER)
            finally:
                connection.cancel()
                await asyncio.wait((connection,))
            if not connection.cancelled():
                connection.result()
