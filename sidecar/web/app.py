"""The routes of the port. Only GET and HEAD are answered: whatever changes a node comes in over `admin.sock`."""

import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Final, Protocol

import msgspec
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sidecar.engine.status import Status
from sidecar.web import gauges, health
from sidecar.web.http1 import Answer, Handler, Request, plain
from sidecar.web.page import page

_READ: Final = ("GET", "HEAD")
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Server": "georoot",
}
"""Of every answer."""

Routes = Mapping[tuple[str, str], Handler]
"""By method and path; what may be GET may be HEAD."""


class Reported(Protocol):
    """A node, as far as the web knows it."""

    @property
    def registry(self) -> CollectorRegistry:
        """What the node counts."""

    def status(self) -> Status:
        """How it is now: called for every request, so it has to be quick."""


def application(node: Reported) -> Handler:
    """What answers for `node`."""
    routes = reads(node)

    async def answer(request: Request) -> Answer:
        if request.method not in _READ:
            return plain("only GET and HEAD\n", HTTPStatus.METHOD_NOT_ALLOWED, Allow=", ".join(_READ))
        route = routed(routes, request)
        if isinstance(route, HTTPStatus):
            return plain(f"{route.phrase}\n", route)
        return await route(request)

    return answer


def reads(node: Reported) -> dict[tuple[str, str], Handler]:
    """The routes that say how `node` is."""
    return {
        ("GET", "/"): _page(node),
        ("GET", "/livez"): _probe(node, health.not_alive),
        ("GET", "/readyz"): _probe(node, health.not_ready),
        ("GET", "/startupz"): _probe(node, health.not_started),
        ("GET", "/metrics"): _metrics(node),
        ("GET", "/api/status"): _status(node),
    }


def routed(routes: Routes, request: Request) -> Handler | HTTPStatus:
    """Who answers it, or why nobody does."""
    method = "GET" if request.method == "HEAD" else request.method
    route = routes.get((method, request.path))
    if route is not None:
        return route
    there = any(path == request.path for _, path in routes)
    return HTTPStatus.METHOD_NOT_ALLOWED if there else HTTPStatus.NOT_FOUND


def answered(what: object, status: int = HTTPStatus.OK) -> Answer:
    """The answer that says `what`, as JSON."""
    return Answer(msgspec.json.encode(what), status, "application/json")


def _probe(node: Reported, problem: Callable[[Status], str]) -> Handler:
    async def answer(_request: Request) -> Answer:
        why_not = " ".join(problem(node.status()).split())
        status = HTTPStatus.SERVICE_UNAVAILABLE if why_not else HTTPStatus.OK
        return plain(f"{why_not or 'ok'}\n", status)

    return answer


def _status(node: Reported) -> Handler:
    async def answer(_request: Request) -> Answer:
        return answered(node.status())

    return answer


def _page(node: Reported) -> Handler:
    async def answer(_request: Request) -> Answer:
        return Answer(page(node.status()).encode(), content_type="text/html; charset=utf-8")

    return answer


def _metrics(node: Reported) -> Handler:
    async def answer(request: Request) -> Answer:
        accept = request.headers.get("accept", "")
        try:
            encode, content_type = choose_encoder(accept if accept.isascii() else "")
        except TypeError:  # a version that is no number
            encode, content_type = choose_encoder("")
        return Answer(encode(_Scrape(node)), content_type=content_type)

    return answer


class _Scrape(Collector):
    """What the node has counted, and what its status shows at this moment."""

    def __init__(self, node: Reported) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """Every metric of the node."""
        yield from self._node.registry.collect()
        yield from gauges.families(self._node.status(), time.time())
