"""The routes of the port. Only GET and HEAD are answered: whatever changes a node comes in over `admin.sock`."""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sidecar.engine.status import Status
from sidecar.web import gauges, health
from sidecar.web.page import page

log = structlog.get_logger(__name__)

_READ: Final = ("GET", "HEAD")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Server": "georoot",
}

Answer = Callable[[web.Request], Awaitable[web.Response]]


class Reported(Protocol):
    """A node, as far as the web knows it."""

    @property
    def registry(self) -> CollectorRegistry:
        """What the node counts."""

    def status(self) -> Status:
        """How it is now: called for every request, so it has to be quick."""


def application(node: Reported) -> web.Application:
    """The application that answers for `node`."""
    app = web.Application(middlewares=[_only_reads])
    add_reads(app, node)
    return app


def add_reads(app: web.Application, node: Reported) -> None:
    """The routes that say how `node` is, and what every answer has in common."""
    app.on_response_prepare.append(_headers)
    app.router.add_get("/", _page(node))
    app.router.add_get("/livez", _probe(node, health.not_alive))
    app.router.add_get("/readyz", _probe(node, health.not_ready))
    app.router.add_get("/startupz", _probe(node, health.not_started))
    app.router.add_get("/metrics", _metrics(node))
    app.router.add_get("/api/status", _status(node))


def answered(what: object, status: int = 200) -> web.Response:
    """The answer that says `what`, as JSON."""
    return web.Response(status=status, body=msgspec.json.encode(what), content_type="application/json")


def _probe(node: Reported, problem: Callable[[Status], str]) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        why_not = " ".join(problem(node.status()).split())
        return web.Response(status=503 if why_not else 200, text=f"{why_not or 'ok'}\n")

    return answer


def _status(node: Reported) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return answered(node.status())

    return answer


def _page(node: Reported) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=page(node.status()), content_type="text/html")

    return answer


def _metrics(node: Reported) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(_Scrape(node)), headers={"Content-Type": content_type})

    return answer


class _Scrape(Collector):
    """What the node has counted, and what its status shows at this moment."""

    def __init__(self, node: Reported) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """Every metric of the node."""
        yield from self._node.registry.collect()
        yield from gauges.families(self._node.status(), time.time())


@web.middleware
async def _only_reads(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.method not in _READ:
        return web.Response(status=405, text="only GET and HEAD\n", headers={"Allow": ", ".join(_READ)})
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("a request failed", path=request.path)
        return web.Response(status=500, text="a defect: the log says more\n")


async def _headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
