"""A client of the application of a fake node."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import pytest_asyncio

from sidecar.web.app import HEADERS, Reported, application
from sidecar.web.http1 import Server

Opener = Callable[[Reported], Awaitable[aiohttp.ClientSession]]


@pytest_asyncio.fixture
async def visit() -> AsyncIterator[Opener]:
    """Serves a node; what it returns asks it."""
    async with AsyncExitStack() as held:

        async def opener(node: Reported) -> aiohttp.ClientSession:
            server = Server(application(node), HEADERS)
            held.push_async_callback(server.close)
            _, port = await server.listen("127.0.0.1", 0)
            return await held.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))

        yield opener
