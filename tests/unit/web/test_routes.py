"""What every route has in common, /api/status and the page."""

import html

import msgspec
import pytest
from structlog.testing import capture_logs

from sidecar.engine.status import NodeState, Status
from tests.unit.web.conftest import Opener
from tests.unit.web.fakes import AMS, CUT, HELD, UNREADABLE, FakeNode, but

ROUTES = ("/", "/livez", "/readyz", "/startupz", "/metrics", "/api/status")


@pytest.mark.parametrize("route", ROUTES)
async def test_an_answer_is_never_kept_and_never_taken_for_something_else(visit: Opener, route: str) -> None:
    answer = await (await visit(FakeNode())).get(route)
    assert 200 == answer.status
    assert "no-store" == answer.headers["Cache-Control"]
    assert "nosniff" == answer.headers["X-Content-Type-Options"]
    assert "georoot" == answer.headers["Server"]


@pytest.mark.parametrize("route", ROUTES)
async def test_head_is_get_without_its_body(visit: Opener, route: str) -> None:
    client = await visit(FakeNode())
    got, head = await client.get(route), await client.head(route)
    assert (got.status, got.headers["Content-Type"]) == (head.status, head.headers["Content-Type"])
    assert b"" == await head.read() != await got.read()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("route", [*ROUTES, "/nowhere"])
async def test_nothing_but_get_and_head_is_allowed(visit: Opener, method: str, route: str) -> None:
    answer = await (await visit(FakeNode())).request(method, route, data=b"x")
    assert (405, "GET, HEAD") == (answer.status, answer.headers["Allow"])


async def test_an_unknown_route_is_not_found(visit: Opener) -> None:
    answer = await (await visit(FakeNode())).get("/../../etc/passwd")
    assert (404, "georoot") == (answer.status, answer.headers["Server"])


async def test_the_status_survives_its_json(visit: Opener) -> None:
    status = but(state=NodeState.FINDING, waits_for=("nyc",), peers=(AMS, CUT), problems=(UNREADABLE,), problem_count=1)
    answer = await (await visit(FakeNode(status))).get("/api/status")
    raw = await answer.read()
    assert "application/json" == answer.content_type
    assert status == msgspec.json.decode(raw, type=Status)
    assert {"state": "finding", "ready": True, "uptime": 11520.0}.items() <= msgspec.json.decode(raw).items()


async def test_the_page_says_how_the_node_is_and_where_to_look(visit: Opener) -> None:
    status = but(ready=False, peers=(AMS, CUT), warnings=("<b>look</b>",), region="m&k")
    answer = await (await visit(FakeNode(status))).get("/")
    text = await answer.text()
    assert ("text/html", "utf-8") == (answer.content_type, answer.charset)
    for said in ("running, not ready", "ams: up, 3 paths not confirmed", f"nyc: down; {CUT.problem}", "m&k/msk"):
        assert html.escape(said) in text
    assert "<b>" not in text
    for route in ROUTES[1:]:
        assert f'href="{route}"' in text
    assert "<script" not in text


async def test_the_page_says_what_is_held_and_what_to_type(visit: Opener) -> None:
    text = await (await (await visit(FakeNode(but(holds=(HELD,), paused=True)))).get("/")).text()
    for said in (HELD.why, "sidecar approve scan", "paused until `sidecar resume`"):
        assert html.escape(said) in text


async def test_a_defect_is_logged_once_and_answered_without_its_details(visit: Opener) -> None:
    class Broken(FakeNode):
        def status(self) -> Status:
            raise KeyError("secret")

    client = await visit(Broken())
    with capture_logs() as logs:
        answer = await client.get("/livez")
    assert (500, "a defect: the log says more\n") == (answer.status, await answer.text())
    assert [("a request failed", "/livez")] == [(line["event"], line["path"]) for line in logs]
