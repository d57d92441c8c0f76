"""The routes by which the CLI asks: on `admin.sock` alone, which nobody but the sidecar's own user may open.

What is asked and what is answered are the shapes of `engine.orders`. What was not done is a `Failure`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final, Protocol

import msgspec
import structlog

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
from sidecar.web.app import Reported, answered, reads, routed
from sidecar.web.asked import body_of, ident_of, limit_of, path_of
from sidecar.web.failures import defect, failing, told
from sidecar.web.http1 import Answer, Handler, Request

log = structlog.get_logger(__name__)

CHUNK: Final = 256 << 10
"""Bytes of a losing version that are in memory at a time."""
TICK: Final = 0.5
"""Seconds between two words of how far something is."""


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


def admin(node: Reported, orders: Orders) -> Handler:
    """What answers on the socket: what the port has, and the orders."""
    routes = reads(node) | {
        ("POST", "/api/approve"): _approve(orders),
        ("POST", "/api/assert"): _claim(orders),
        ("POST", "/api/reject"): _reject(orders),
        ("POST", "/api/pause"): _plain(orders.pause),
        ("POST", "/api/resume"): _plain(orders.resume),
        ("POST", "/api/join"): _join(orders),
        ("POST", "/api/verify"): _verify(orders),
        ("POST", "/api/wait"): _wait(orders),
        ("POST", "/api/sync"): _sync(orders),
        ("GET", "/api/pending"): _pending(orders),
        ("GET", "/api/conflicts"): _conflicts(orders),
        ("GET", "/api/conflict"): _conflict(orders),
        ("POST", "/api/take"): _take(orders),
        ("GET", "/api/trash"): _trash(orders),
        ("POST", "/api/restore"): _restore(orders),
    }
    return failing(lambda request: routed(routes, request))


def starting(node: Reported) -> Handler:
    """The same for a node that takes no orders yet: each is told why."""
    routes, not_yet = reads(node), _not_yet(node)

    def find(request: Request) -> Handler | HTTPStatus:
        route = routed(routes, request)
        return not_yet if isinstance(route, HTTPStatus) and request.path.startswith("/api/") else route

    return failing(find)


def _not_yet(node: Reported) -> Handler:
    async def answer(_request: Request) -> Answer:
        raise Retryable(f"the sidecar is still starting: {'; '.join(node.status().warnings)}")

    return answer


def _plain(order: Callable[[], None]) -> Handler:
    async def answer(_request: Request) -> Answer:
        order()
        return answered({})

    return answer


def _approve(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        asked = body_of(request, Approve)
        await orders.approve(asked.id, asked.way)
        return answered({})

    return answer


def _claim(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        return answered(await orders.claim(body_of(request, Claim).path))

    return answer


def _reject(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        return answered(await orders.reject(body_of(request, Reject).id))

    return answer


def _join(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        asked = body_of(request, Join)
        return answered(await orders.join(asked.prefer, asked.within, act=asked.act))

    return answer


def _wait(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        asked = body_of(request, Wait)
        return answered(await orders.wait(asked.regions, asked.within))

    return answer


def _sync(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        return answered(await orders.sync(body_of(request, Sync).within))

    return answer


def _verify(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        asked = body_of(request, Verify)
        progress: dict[str, VerifyProgress] = {}
        work = asyncio.ensure_future(
            orders.verify(asked.regions, lambda one: progress.__setitem__(one.region, one), checksum=asked.checksum)
        )
        pieces = _verifying(work, progress)
        return Answer(content_type="application/x-ndjson", pieces=pieces, done=work.cancel)

    return answer


async def _verifying(work: asyncio.Future[Verified], progress: Mapping[str, VerifyProgress]) -> AsyncIterator[bytes]:
    while not work.done():
        await asyncio.wait({work}, timeout=TICK)
        yield _line(VerifySaid(progress=tuple(progress.values())))
    yield _line(_verified(work))


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


def _pending(orders: Orders) -> Handler:
    async def answer(_request: Request) -> Answer:
        return answered(await orders.pending())

    return answer


def _conflicts(orders: Orders) -> Handler:
    async def answer(_request: Request) -> Answer:
        return answered(orders.conflicts())

    return answer


def _conflict(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        fd = orders.conflict(path_of(request), ident_of(request))
        size = os.fstat(fd).st_size
        return Answer(
            content_type="application/octet-stream",
            pieces=_pieces(fd, size),
            length=size,
            done=lambda: os.close(fd),
        )

    return answer


async def _pieces(fd: int, size: int) -> AsyncIterator[bytes]:
    for at in range(0, size, CHUNK):
        try:
            piece = await asyncio.to_thread(os.pread, fd, min(CHUNK, size - at), at)
        except OSError as error:
            log.warning("a losing version cannot be read", why=str(error))
            raise
        yield piece


def _take(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        asked = body_of(request, Take)
        await orders.take(asked.path, asked.id)
        return answered({})

    return answer


def _trash(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        return answered(orders.trash(path_of(request), limit_of(request)))

    return answer


def _restore(orders: Orders) -> Handler:
    async def answer(request: Request) -> Answer:
        asked = body_of(request, Restore)
        if asked.since is not None:
            return answered(await orders.restore_since(asked.since, asked.peer))
        return answered(await orders.restore(asked.path, asked.at))

    return answer
