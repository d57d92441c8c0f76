"""The orders: on the socket alone, typed both ways, and what was not done says why."""

import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from sidecar.engine.orders import Behind, Failure, Restored, Waited
from sidecar.errors import EnvironmentFault, GeorootError, NeedsHelp, Retryable
from sidecar.web.server import serve
from tests.unit.web.fakes import LATE, FakeNode, FakeOrders

GETS = ("/api/pending", "/api/conflicts", "/api/conflict?path=cA==", "/api/trash")
POSTS = (
    "/api/approve",
    "/api/assert",
    "/api/reject",
    "/api/pause",
    "/api/resume",
    "/api/join",
    "/api/sync",
    "/api/wait",
    "/api/take",
    "/api/restore",
)


class Served:
    """A node whose orders go to `orders`, asked over its socket and over its port."""

    def __init__(self, orders: FakeOrders, session: aiohttp.ClientSession, port: int) -> None:
        self.orders, self.session, self.port = orders, session, port

    async def ask(self, method: str, route: str, body: Any = None) -> tuple[int, bytes]:
        data = body if isinstance(body, bytes) else msgspec.json.encode(body) if body is not None else None
        async with self.session.request(method, f"http://sidecar{route}", data=data) as answer:
            return answer.status, await answer.read()

    async def refused(self, method: str, route: str, body: Any = None) -> tuple[int, Failure]:
        status, raw = await self.ask(method, route, body)
        return status, msgspec.json.decode(raw, type=Failure)


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    orders = FakeOrders()
    connector = aiohttp.UnixConnector(str(tmp_path / "admin.sock"))
    async with (
        serve(FakeNode(), orders, listen="127.0.0.1", port=0, run_dir=str(tmp_path)) as port,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        yield Served(orders, session, port)


@pytest.mark.parametrize(("method", "route"), [*(("GET", one) for one in GETS), *(("POST", one) for one in POSTS)])
async def test_nothing_of_it_is_on_the_port(served: Served, method: str, route: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{served.port}{route}", data=b"{}") as answer,
    ):
        assert (404 if method == "GET" else 405) == answer.status
    assert [] == served.orders.asked


@pytest.mark.parametrize("route", ["/", "/livez", "/readyz", "/startupz", "/metrics", "/api/status"])
async def test_what_is_on_the_port_is_on_the_socket_too(served: Served, route: str) -> None:
    assert 200 == (await served.ask("GET", route))[0]


def b64(path: bytes) -> str:
    return base64.b64encode(path).decode()


@pytest.mark.parametrize(
    ("route", "body", "asked"),
    [
        ("approve", {"id": "scan"}, ("approve", "scan")),
        ("approve", {"id": "forgotten", "way": "offer"}, ("approve", "forgotten", "offer")),
        ("assert", {}, ("assert", b"")),
        ("assert", {"path": b64(b"a/b")}, ("assert", b"a/b")),
        ("reject", {"id": "scan"}, ("reject", "scan")),
        ("pause", None, ("pause",)),
        ("resume", b"", ("resume",)),
        ("join", {"prefer": "ams"}, ("join", "ams", 60.0, False)),
        ("join", {"prefer": "local", "act": True, "within": 5}, ("join", "local", 5.0, True)),
        ("sync", {}, ("sync", 3600.0)),
        ("sync", {"within": 5}, ("sync", 5.0)),
        ("wait", {}, ("wait", (), 60.0)),
        ("wait", {"regions": ["ams"], "within": 5}, ("wait", ("ams",), 5.0)),
        ("take", {"path": b64(b"a\xff")}, ("take", b"a\xff", "")),
        ("take", {"path": b64(b"a"), "id": "0123"}, ("take", b"a", "0123")),
        ("restore", {"path": b64(b"a/b")}, ("restore", b"a/b", None)),
        ("restore", {"path": b64(b"a"), "at": 1.5}, ("restore", b"a", 1.5)),
        ("restore", {"since": 1.5, "peer": "ams"}, ("restore since", 1.5, "ams")),
    ],
)
async def test_an_order_reaches_the_node_as_it_was_meant(
    served: Served, route: str, body: Any, asked: tuple[Any, ...]
) -> None:
    status, raw = await served.ask("POST", f"/api/{route}", body)
    assert 200 == status
    assert [asked] == served.orders.asked
    assert isinstance(msgspec.json.decode(raw), dict)


@pytest.mark.parametrize(
    ("route", "asked"),
    [
        ("conflicts", ("conflicts",)),
        ("pending", ("pending",)),
        ("conflict?path=YS3_&id=01", ("conflict", b"a-\xff", "01")),
        ("trash", ("trash", b"", 1000)),
        ("trash?path=cA==&limit=7", ("trash", b"p", 7)),
    ],
)
async def test_a_question_reaches_the_node_as_it_was_meant(served: Served, route: str, asked: tuple[Any, ...]) -> None:
    assert 200 == (await served.ask("GET", f"/api/{route}"))[0]
    assert [asked] == served.orders.asked


async def test_answers_survive_their_json(served: Served) -> None:
    served.orders.behind = (LATE, Behind("nyc", "there is no link yet"))
    served.orders.restored = Restored(2, (b"a\xff", b"b"), 1, ("c: its bytes are gone",))
    _, raw = await served.ask("POST", "/api/wait", {})
    assert Waited(served.orders.behind) == msgspec.json.decode(raw, type=Waited)
    _, raw = await served.ask("POST", "/api/restore", {"path": b64(b"a")})
    assert served.orders.restored == msgspec.json.decode(raw, type=Restored)


async def test_a_large_losing_version_comes_whole_and_no_descriptor_stays_open(served: Served) -> None:
    served.orders.lost = os.urandom(3_000_000)
    await served.ask("GET", "/livez")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert (200, served.orders.lost) == await served.ask("GET", "/api/conflict?path=cA==")
    assert before == len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("method", "route", "body", "problem"),
    [
        ("POST", "/api/approve", b"{", "Input data was truncated"),
        ("POST", "/api/approve", {}, "missing required field `id`"),
        ("POST", "/api/approve", {"id": 1}, "Expected `str`"),
        ("POST", "/api/approve", {"id": "x" * 65}, "length <= 64"),
        ("POST", "/api/approve", {"id": "scan", "force": True}, "unknown field `force`"),
        ("POST", "/api/approve", {"id": "forgotten", "way": "either"}, "Invalid enum value 'either'"),
        ("POST", "/api/wait", {"within": 86_401}, "<= 86400"),
        ("POST", "/api/wait", {"within": -1}, ">= 0"),
        ("POST", "/api/wait", {"regions": ["x"] * 101}, "length <= 100"),
        ("POST", "/api/take", {"path": "no base64"}, "base64"),
        ("POST", "/api/take", {"path": b64(b"x" * 4097)}, "length <= 4096"),
        ("GET", "/api/conflict?path=%20", None, "path: "),
        ("GET", f"/api/trash?path={b64(b'x' * 4200)}", None, "path: it is too long"),
        ("GET", f"/api/conflict?path=cA==&id={'0' * 65}", None, "id: it is too long"),
        ("GET", "/api/trash?limit=0", None, "limit: "),
        ("GET", "/api/trash?limit=1001", None, "limit: "),
        ("GET", "/api/trash?limit=all", None, "limit: "),
    ],
)
async def test_what_is_asked_wrongly_is_said_to_be_that(
    served: Served, method: str, route: str, body: Any, problem: str
) -> None:
    status, failure = await served.refused(method, route, body)
    assert (400, 2) == (status, failure.exit_code)
    assert problem in failure.error
    assert [] == served.orders.asked


@pytest.mark.parametrize(
    ("method", "route", "status"),
    [("GET", "/api/nowhere", 404), ("GET", "/api/approve", 405), ("POST", "/api/trash", 405), ("DELETE", "/", 405)],
)
async def test_an_order_that_there_is_not_is_a_failure_like_any_other(
    served: Served, method: str, route: str, status: int
) -> None:
    answered, failure = await served.refused(method, route)
    assert (status, 2) == (answered, failure.exit_code)


async def test_a_request_that_is_too_large_is_refused(served: Served) -> None:
    status, failure = await served.refused("POST", "/api/take", b"x" * 100_000)
    assert (413, 2) == (status, failure.exit_code)


@pytest.mark.parametrize(
    ("problem", "status", "failure"),
    [
        (NeedsHelp("there is no hold 'x'", "none"), 409, Failure("there is no hold 'x'", "none", 1)),
        (Retryable("page is being written"), 503, Failure("page is being written", "try again", 1)),
        (EnvironmentFault("a", "b", "c"), 409, Failure("a: b; c", "are command and daemon of one version?", 3)),
    ],
)
async def test_what_was_not_done_says_why_and_what_to_do(
    served: Served, problem: GeorootError, status: int, failure: Failure
) -> None:
    served.orders.problem = problem
    assert (status, failure) == await served.refused("POST", "/api/approve", {"id": "x"})


async def test_a_defect_is_logged_and_named(served: Served) -> None:
    served.orders.problem = KeyError("x")
    with capture_logs() as logs:
        status, failure = await served.refused("POST", "/api/pause")
    assert (500, 70) == (status, failure.exit_code)
    assert failure.error.startswith("a defect: KeyError")
    assert [("a command failed", "/api/pause")] == [(line["event"], line["path"]) for line in logs]
