"""The web root itself: is it still the one that was opened, and does it belong to us?"""

import asyncio
import os
from typing import Final

from sidecar.core.paths import ROOT
from sidecar.engine.patience import Patience
from sidecar.engine.ticks import tick
from sidecar.fs.root import WebRoot

LOOK: Final = 2.0
"""Seconds between two looks at whether the web root is still the one that was opened."""


class RootWatch:
    """Looks now and then.

    Args:
        patience: what waits for a disk that works waits in it.
        network: the root's file system is another machine's, for which a look may wait: nothing else waits with it.
    """

    def __init__(self, root: WebRoot, patience: Patience, *, network: bool) -> None:
        self._root = root
        self._patience = patience
        self._network = network

    async def run(self) -> None:
        """Look at the way to the web root for as long as it leads to the one that was opened.

        Raises:
            EnvironmentFault: it does not any more; what is missing there was not deleted.
        """
        while True:
            if await self._patience.through(self._is_replaced):
                raise self._root.lost()
            await tick(LOOK)

    async def _is_replaced(self) -> bool:
        # two stats of what is open, and so in memory: a thread for them takes twenty times their time
        return await asyncio.to_thread(self._root.is_replaced) if self._network else self._root.is_replaced()

    @property
    def uid_mismatch(self) -> str:
        """A line about a web root that another user owns, "" if it is ours."""
        owner, us = self._root.owner(ROOT), os.geteuid()
        if owner in (None, 0, us) or not us:
            return ""
        return (
            f"the web root belongs to UID {owner}, the sidecar runs as {us}: run web server and sidecar under one UID"
        )
