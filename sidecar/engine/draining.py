"""The end of a node: what is pending is sent first, and the peers store how far they are."""

import asyncio
import contextlib
from typing import Final

import structlog

from sidecar.engine.links import Links
from sidecar.engine.node import Node

log = structlog.get_logger(__name__)

LAST_WORD: Final = 5.0
"""Seconds for which a peer may take to store how far it is."""
_LOOK: Final = 0.02
_DURABLE_LEAST: Final = 1.0
"""Seconds that the last flush gets, however long the draining took."""


async def drain(node: Node, links: Links) -> bool:
    """Wait until all that was written is sent to every peer that is there; was it, to all of them?"""
    deadline = asyncio.get_running_loop().time() + node.options.drain
    log.info("stopping: what is pending is sent first", seconds=node.options.drain)
    while asyncio.get_running_loop().time() < deadline:
        if not node.watching.busy and links.flushed(connected_only=True):
            break
        await asyncio.sleep(_LOOK)
    # what was applied and is not durable by then was not answered: its peer offers it again
    with contextlib.suppress(TimeoutError):
        left = deadline - asyncio.get_running_loop().time()
        async with asyncio.timeout(max(_DURABLE_LEAST, left)):
            await node.durability.reached()
    await _tell(links, deadline)
    return not node.watching.busy and links.flushed()


async def _tell(links: Links, deadline: float) -> None:
    """Tell the peers how far they are: what they do not store is offered to them again at the next start."""
    loop = asyncio.get_running_loop()
    links.tell()
    until = min(deadline, loop.time() + LAST_WORD)
    while loop.time() < until:
        if links.told:
            break
        await asyncio.sleep(_LOOK)
