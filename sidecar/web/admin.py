"""The routes by which the CLI asks: on `admin.sock` alone, which nobody but the sidecar's own user may open.

What is asked and what is answered are the shapes of `engine.orders`. What was not done is a `Failure`.
"""

import asyncio
import base64
import binascii
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from sidecar.engine.orders import (
    LISTED,
    Approve,
    Claim,
    Claimed,
    Conflicts,
    Failure,
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
from sidecar.errors import GeorootError, NeedsHelp, Retryable
from sidecar.web.app import Reported, add_reads

log = structlog.get_logger(__name__)

MOST: Final = 64 << 10
"""Bytes that a request may have."""
CHUNK: Final = 256 << 10
"""Bytes of a losing version that are in memory at a time."""
TICK: Final = 0.5
"""Seconds between two words of how far something is."""
_PATH: Final = 4096
_ID: Final = 64
_WRONG: Final = 2
_DEFECT: Final = 70
"""Exit codes, as `sidecar.cli.exits` has them."""

Asked = TypeVar("Asked", bound=msgspec.Struct)
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
    app = web.Application(middlewares=[_failures], client_max_size=MOST)
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
    app = web.Application(middlewares=[_failures], client_max_size=MOST)
    add_reads(app, node)
    app.router.add_route("*", "/api/{order}", _not_yet(node))
    return app


# -- the routes


def _not_yet(node: Reported) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        raise Retryable(f"the sidecar is still starting: {'; '.join(node.status().warnings)}")

    return answer


def _plain(order: Callable[[], None]) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        order()
        return _json({})

    return answer


def _approve(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await _body(request, Approve)
        await orders.approve(asked.id, asked.way)
        return _json({})

    return answer


def _claim(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return _json(await orders.claim((await _body(request, Claim)).path))

    return answer


def _reject(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return _json(await orders.reject((await _body(request, Reject)).id))

    return answer


def _join(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await _body(request, Join)
        return _json(await orders.join(asked.prefer, asked.within, act=asked.act))

    return answer


def _wait(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await _body(request, Wait)
        return _json(await orders.wait(asked.regions, asked.within))

    return answer


def _sync(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return _json(await orders.sync((await _body(request, Sync)).within))

    return answer


def _verify(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.StreamResponse:
        asked = await _body(request, Verify)
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
        return VerifySaid(failure=_told(error))
    log.error("verify failed", error=repr(error))
    return VerifySaid(failure=_defect(error))


def _line(said: VerifySaid) -> bytes:
    return msgspec.json.encode(said) + b"\n"


def _pending(orders: Orders) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        return _json(await orders.pending())

    return answer


def _conflicts(orders: Orders) -> Route:
    async def answer(_request: web.Request) -> web.Response:
        return _json(orders.conflicts())

    return answer


def _conflict(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.StreamResponse:
        fd = orders.conflict(_path(request), _ident(request))
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
        asked = await _body(request, Take)
        await orders.take(asked.path, asked.id)
        return _json({})

    return answer


def _trash(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        return _json(orders.trash(_path(request), _limit(request)))

    return answer


def _restore(orders: Orders) -> Route:
    async def answer(request: web.Request) -> web.Response:
        asked = await _body(request, Restore)
        if asked.since is not None:
            return _json(await orders.restore_since(asked.since, asked.peer))
        return _json(await orders.restore(asked.path, asked.at))

    return answer


# -- what they share


class Misasked(GeorootError):
    """The request is not one that this version knows."""

    exit_code = _WRONG


async def _body(request: web.Request, shape: type[Asked]) -> Asked:
    try:
        return msgspec.json.decode(await request.read(), type=shape)
    except msgspec.MsgspecError as error:
        raise Misasked(str(error)) from error


def _path(request: web.Request) -> bytes:
    try:
        path = base64.b64decode(request.query.get("path", ""), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Misasked(f"path: {error}") from error
    if len(path) > _PATH:
        raise Misasked("path: it is too long")
    return path


def _ident(request: web.Request) -> str:
    ident = request.query.get("id", "")
    if len(ident) > _ID:
        raise Misasked("id: it is too long")
    return ident


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(LISTED))
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= LISTED:
        raise Misasked(f"limit: it is not from 1 to {LISTED}")
    return int(text)


def _json(answer: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(answer), content_type="application/json")


@web.middleware
async def _failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where what went wrong becomes an answer."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _failure(Failure(error.reason, "are command and daemon of one version?", _WRONG), error.status)
    except GeorootError as error:
        return _failure(_told(error), _status(error))
    except Exception as error:
        log.exception("a command failed", path=request.path)
        return _failure(_defect(error), web.HTTPInternalServerError.status_code)


def _failure(failure: Failure, status: int) -> web.Response:
    return _json(failure, status)


def _defect(error: BaseException) -> Failure:
    return Failure(f"a defect: {type(error).__name__}: {error}", "please report it; the log says more", _DEFECT)


def _told(error: GeorootError) -> Failure:
    if isinstance(error, NeedsHelp):
        return Failure(error.problem, error.hint, error.exit_code)
    hint = "try again" if isinstance(error, Retryable) else "are command and daemon of one version?"
    return Failure(str(error), hint, error.exit_code)


def _status(error: GeorootError) -> int:
    if isinstance(error, Misasked):
        return web.HTTPBadRequest.status_code
    busy = isinstance(error, Retryable)
    return web.HTTPServiceUnavailable.status_code if busy else web.HTTPConflict.status_code
