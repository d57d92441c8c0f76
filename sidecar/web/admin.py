"""The routes by which the CLI asks: on `admin.sock` alone, which nobody but the sidecar's own user may open.

What is asked and what is answered are the shapes of `engine.orders`. What was not done is a `Failure`.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec
import structlog
from aiohttp import web

from sidecar.engine.orders import (
    Approve,
    Claim,
    Claimed,
    Conflicts,
    Join,
    Joined,
    Pending,
    Reject,
    Rejected,
    Restore,
    Restored,
    Sync,
    Synced,
    Take,
    Trash,
    Verified,
    Verify,
    VerifyProgress,
    VerifySaid,
    Wait,
    Waited,
    Way,
)
from sidecar.errors import GeorootError, Retryable
from sidecar.web.app import Reported, add_reads, answered
from sidecar.web.asked import body_of, ident_of, limit_of, path_of
from sidecar.web.failures import defect, failures, told

log = structlog.get_logger(__name__)

MOST: Final = 64 << 10
"""Bytes that a request may have."""
CHUNK: Final = 256 << 10
"""Bytes of a losing version that are in memory at a time."""
TICK: Final = 0.5
"""Seconds between two words of how far something is."""

Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Orders(Protocol):
    """What a node does when it is asked to (see `engine.commands`); each may raise GeorootError."""

    async def approve(self, hold: str, way: Way | None) -> None:
        """What is held goes on."""

    async def claim(self, path: bytes) -> Claimed:
        """What lies here is to win everywhere."""

    async def reject(self, hold: str) -> Rejected:
        """What is held is not done."""

    def pause(self) -> None:
        """Neither send nor receive."""

    def resume(self) -> None:
        """Go on."""

    async def join(self, prefer: str, within: float, *, act: bool) -> Joined:
        """How two roots compare that meet for the first time, and who wins."""

    async def verify(
        self, regions: Sequence[str], told: Callable[[VerifyProgress], None], *, checksum: bool
    ) -> Verified:
        """How these regions differ from this node."""

    async def wait(self, regions: Sequence[str], within: float) -> Waited:
        """Until everything is in these regions."""

    async def sync(self, within: float) -> Synced:
        """A scan, and everything sent and received."""

    async def pending(self) -> Pending:
        """What the regions have not confirmed."""

    def conflicts(self) -> Conflicts:
        """The losing versions."""

    def conflict(self, path: bytes, ident: str) -> int:
        """A descriptor that reads the bytes of one."""

    async def take(self, path: bytes, ident: str) -> None:
        """It becomes the current one."""

    def trash(self, path: bytes, limit: int) -> Trash:
        """What left."""

    async def restore(self, path: bytes, at: float | None) -> Restored:
        """A path comes back."""

    async def restore_since(self, since: float, peer: str) -> Restored:
        """Everything that left since then comes back."""


def admin(node: Reported, orders: Orders) -> web.Application:
    """The application of the socket: what the port has, and the orders."""
    app = web.Application(middlewares=[failures], client_max_size=MOST)
    add_reads(app, node)
    app.router.add_post("/api/approve", _approve(orders))
    app.router.add_post("/api/assert", _claim(orders))
    app.router.add_post("/api/reject", _reject(orders))
    app.router.add_post("/api/pause", _plain(orders.pause))
    app.router.add_post("/api/resume", _plain(orders.resume))
    app.router.add_post("/api/join", _join(orders))
    app.router.add_post("/api/verify", _verify(orders))
    app.router.add_post("/api/wait", _wait(orders))
    app.router.add_post("/api/sync", _sync(orders))
    app.router.add_get("/api/pending", _pending(orders))
    app.router.add_get("/api/conflicts", _conflicts(orders))
    app.router.add_get("/api/conflict", _conflict(orders))
    app.router.add_post("/api/take", _take(orders))
    app.router.add_get("/api/trash", _trash(orders))
    app.router.add_post("/api/restore", _restore(orders))
    return app


def starting(node: Reported) -> web.Application:
    """The same for a node that takes no orders yet: each is told why."""
    app = web.Application(middlewares=[failures], client_max_size=MOST)
    add_reads(app, node)
    app.router.add_route("*", "/api/{order}", _not_yet(node))
    return app


def _not_yet(node: Reported) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        raise Retryable(f"the sidecar is still starting: {'; '.join(node.status().warnings)}")

    return answer


def _plain(order: Callable[[], None]) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        order()
        return answered({})

    return answer


def _approve(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await body_of(request, Approve)
        await orders.approve(asked.id, asked.way)
        return answered({})

    return answer


def _claim(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return answered(await orders.claim((await body_of(request, Claim)).path))

    return answer


def _reject(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return answered(await orders.reject((await body_of(request, Reject)).id))

    return answer


def _join(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await body_of(request, Join)
        return answered(await orders.join(asked.prefer, asked.within, act=asked.act))

    return answer


def _wait(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await body_of(request, Wait)
        return answered(await orders.wait(asked.regions, asked.within))

    return answer


def _sync(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return answered(await orders.sync((await body_of(request, Sync)).within))

    return answer


def _verify(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = await body_of(request, Verify)
        progress: dict[str, VerifyProgress] = {}
        work = asyncio.ensure_future(
            orders.verify(asked.regions, lambda one: progress.__setitem__(one.region, one), checksum=asked.checksum)
        )
        streamed = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        try:
            await streamed.prepare(request)
            while not work.done():
                await asyncio.wait({work}, timeout=TICK)
                await streamed.write(_line(VerifySaid(progress=tuple(progress.values()))))
            await streamed.write(_line(_verified(work)))
            await streamed.write_eof()
        finally:
            work.cancel()  # nobody listens any more
        return streamed

    return answer


def _verified(work: asyncio.Future[Verified]) -> VerifySaid:
    error = work.exception()
    if error is None:
        return VerifySaid(verified=work.result())
    if isinstance(error, GeorootError):
        return VerifySaid(failure=told(error))
    log.error("verify failed", error=repr(error))
    return VerifySaid(failure=defect(error))


def _line(said: VerifySaid) -> bytes:
    return msgspec.json.encode(said) + b"\n"


def _pending(orders: Orders) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        return answered(await orders.pending())

    return answer


def _conflicts(orders: Orders) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        return answered(orders.conflicts())

    return answer


def _conflict(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.StreamResponse:
        fd = orders.conflict(path_of(request), ident_of(request))
        try:
            size = os.fstat(fd).st_size
            streamed = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
            streamed.content_length = size
            await streamed.prepare(request)
            for at in range(0, size, CHUNK):
                await streamed.write(await asyncio.to_thread(os.pread, fd, min(CHUNK, size - at), at))
            await streamed.write_eof()
        finally:
            os.close(fd)
        return streamed

    return answer


def _take(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await body_of(request, Take)
        await orders.take(asked.path, asked.id)
        return answered({})

    return answer


def _trash(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return answered(orders.trash(path_of(request), limit_of(request)))

    return answer


def _restore(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await body_of(request, Restore)
        if asked.since is not None:
            return answered(await orders.restore_since(asked.since, asked.peer))
        return answered(await orders.restore(asked.path, asked.at))

    return answer
