"""One run: it has not ended before every region has stored how far it is."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.core.frames import PROTOCOL, Hello
from sidecar.core.outbox import Outbox
from sidecar.engine.commands import Commands
from sidecar.engine.link import Link
from sidecar.engine.links import Links
from sidecar.engine.outbound import Outbound
from tests.unit.engine.conftest import Starter


def linked(remembered: int, *, joins: bool = False) -> Any:
    """A region that has confirmed everything up to 7, and says that it has stored `remembered`."""
    outbound: Any = Outbound.__new__(Outbound)
    outbound._sending = SimpleNamespace(box=Outbox(7, 1 << 20))
    outbound.remembered, outbound.problems = remembered, {}
    outbound.box.offers_loaded(7)
    outbound.peer = Hello(PROTOCOL, "ams", "ams-0", 5, 6, "0", "3", 10, 11, 0, 0, 0, 0, 0, joins, joins)
    outbound.tell = lambda _: None
    link: Any = Link.__new__(Link)
    link.outbound, link.peer, link.incoming = outbound, SimpleNamespace(region="ams"), {object()}
    return link


@pytest.mark.parametrize(
    ("remembered", "joins", "why"),
    [(7, False, []), (6, False, ["it has not confirmed yet how far it is"]), (-1, True, [])],
    ids=["stored", "not stored yet", "stores nothing before it joins"],
)
def test_a_region_that_has_not_stored_how_far_it_is_is_waited_for(
    start: Starter, monkeypatch: pytest.MonkeyPatch, remembered: int, joins: bool, why: list[str]
) -> None:
    node, link = start(), linked(remembered, joins=joins)
    node.going.set()
    node.scanned.set()
    node.finds.done.set()
    links: Any = SimpleNamespace(links={"ams": link}, heard={"ams"}, tell=lambda: None)
    commands = Commands(node, links)

    async def scanned(within: float) -> None:
        return

    monkeypatch.setattr(commands, "_scanned_anew", scanned)
    synced = asyncio.run(commands.sync(0.2))
    assert why == [one.why for one in synced.behind]


@pytest.mark.parametrize(("greeted", "told"), [(True, False), (False, True)], ids=["there", "only being connected"])
def test_an_end_waits_for_the_word_of_regions_that_are_there(greeted: bool, told: bool) -> None:
    link, links = linked(6), Links.__new__(Links)
    if not greeted:
        link.outbound._sending = None
    links.links = {"ams": link}
    assert told is links.told
