"""A client of the application of a fake node."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sidecar.web.app import Reported, application

Client = TestClient[web.Request, web.Application]
Opener = Callable[[Reported], Awaitable[Client]]


@pytest_asyncio.fixture
async def visit() -> AsyncIterator[Opener]:
    """Serves a node; what it returns asks it."""
    clients: list[Client] = []

    async def opener(node: Reported) -> Client:
        client = TestClient(TestServer(application(node), access_log=None))
        clients.append(client)
        await client.start_server()
        return client

    yield opener
    for client in clients:
        await client.close()
