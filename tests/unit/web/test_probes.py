"""/livez, /readyz and /startupz."""

import pytest

from sidecar.engine.status import NodeState, Status
from tests.unit.web.conftest import Opener
from tests.unit.web.fakes import CUT, UNREADABLE, WELL, FakeNode, but

STARTING = but(state=NodeState.STARTING, ready=False)
WAITING = but(state=NodeState.STARTING, ready=False, warnings=("the index waits",))
SCANNING = but(state=NodeState.SCANNING, ready=False)
LOST = "the web root was unmounted: mount it again and restart the sidecar"


@pytest.mark.parametrize(
    ("status", "live", "ready", "started"),
    [
        (WELL, 200, 200, 200),
        (STARTING, 200, 503, 503),
        (SCANNING, 200, 503, 503),
        (but(state=NodeState.FINDING, waits_for=("ams",)), 200, 200, 200),
        (but(state=NodeState.DRAINING), 200, 200, 200),
        (but(ready=False), 200, 503, 200),
        (but(alive=False), 503, 200, 200),
        (but(alive=False, ready=False), 503, 503, 200),
    ],
)
async def test_each_probe_asks_for_its_own_fact(
    visit: Opener, status: Status, live: int, ready: int, started: int
) -> None:
    client = await visit(FakeNode(status))
    assert [live, ready, started] == [(await client.get(p)).status for p in ("/livez", "/readyz", "/startupz")]


@pytest.mark.parametrize("probe", ["/livez", "/readyz", "/startupz"])
async def test_no_peer_and_no_single_path_makes_a_probe_fail(visit: Opener, probe: str) -> None:
    cut = but(peers=(CUT, CUT), problems=(UNREADABLE,), problem_count=1, waits_for=("nyc",), warnings=("look",))
    client = await visit(FakeNode(cut))
    assert 200 == (await client.get(probe)).status


@pytest.mark.parametrize(
    ("probe", "status", "said"),
    [
        ("/livez", WELL, "ok\n"),
        ("/readyz", WELL, "ok\n"),
        ("/startupz", WELL, "ok\n"),
        ("/livez", but(alive=False), "a part of the sidecar has stopped\n"),
        ("/livez", but(alive=False, warnings=(LOST, "b")), f"a part of the sidecar has stopped: {LOST}\n"),
        ("/readyz", SCANNING, "scanning: the first scan is not over\n"),
        ("/readyz", but(ready=False, warnings=(LOST,)), f"not ready (running): {LOST}\n"),
        ("/readyz", but(ready=False, warnings=("two\nlines",)), "not ready (running): two lines\n"),
        ("/startupz", STARTING, "starting: the first scan is not over\n"),
        ("/readyz", WAITING, "starting: the first scan is not over: the index waits\n"),
    ],
)
async def test_a_probe_answers_with_one_line_that_says_why(
    visit: Opener, probe: str, status: Status, said: str
) -> None:
    answer = await (await visit(FakeNode(status))).get(probe)
    assert (said, "text/plain") == (await answer.text(), answer.content_type)


async def test_a_probe_sees_the_node_as_it_is_now(visit: Opener) -> None:
    node = FakeNode(SCANNING)
    client = await visit(node)
    assert 503 == (await client.get("/readyz")).status
    node.now = WELL
    assert 200 == (await client.get("/readyz")).status
