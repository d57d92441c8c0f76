"""`wait` and `sync` say well only where nothing is missing: what is not sent, held or refused is named, with why."""

import asyncio
import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sidecar.core.frames import Hello
from sidecar.core.paths import MAX_PATH, RelPath
from sidecar.core.ports import Unreachable
from sidecar.engine.commands import Commands
from sidecar.engine.hashing import LARGE
from sidecar.engine.link import Link
from sidecar.engine.node import Node
from sidecar.engine.options import PeerOptions
from sidecar.engine.orders import Behind
from sidecar.engine.outbound import Outbound
from sidecar.engine.replica import Changed
from sidecar.fs import faults
from sidecar.fs.root import WebRoot
from sidecar.link.keys import InstalledKeys
from tests.unit.engine.conftest import Starter
from tests.unit.engine.connections import sender
from tests.unit.engine.test_hostile import HELLO

PAGE = RelPath(b"page")


def running(start: Starter) -> Node:
    node = start()
    node.going.set()
    node.scanned.set()
    node.finds.done.set()
    node.joining.decided.set()
    return node


def link_to(node: Node) -> Link:
    return Link(node, PeerOptions("ams", "127.0.0.1", 1, False, 0), InstalledKeys("host", "client", "known", "may"), {})


def connected(link: Link, hello: Hello = HELLO, cursor: int = 1000) -> Outbound:
    """A new connection: the peer has confirmed everything up to `cursor`."""
    outbound = sender(link._node, comparing=link.comparing)
    outbound.peer, outbound.remembered = hello, cursor
    outbound.begin(cursor).box.offers_loaded(cursor)
    link.outbound = outbound
    link._met(outbound)
    return outbound


def asked(node: Node, link: Link, within: float = 0.2, *, sync: bool = False) -> tuple[Behind, ...]:
    """What `wait`, or `sync`, says."""
    there: Any = object()
    link.incoming = {there}
    links: Any = SimpleNamespace(links={"ams": link}, heard={"ams"}, tell=lambda: None)
    links.named = lambda _: [link]

    async def scanned(within: float) -> None:
        return

    async def ask() -> tuple[Behind, ...]:
        node.events.start()
        turning = asyncio.ensure_future(node.watching.run())
        try:
            commands = Commands(node, links)
            if not sync:
                return (await commands.wait((), within)).behind
            commands._scanned_anew = scanned  # type: ignore[method-assign]
            return (await commands.sync(within)).behind
        finally:
            turning.cancel()
            node.events.stop()

    return asyncio.run(ask())


def denied(_: WebRoot, path: RelPath, *__: object) -> Any:
    raise faults.Denied(path, errno.EACCES)


both = pytest.mark.parametrize("sync", [False, True], ids=["wait", "sync"])


@both
@pytest.mark.parametrize("size", [4, LARGE], ids=["small", "large"])
def test_a_file_that_cannot_be_read_is_not_in_the_other_regions(
    start: Starter, monkeypatch: pytest.MonkeyPatch, size: int, sync: bool
) -> None:
    node = running(start)
    link = link_to(node)
    connected(link)
    Path(node.root.path, "page").write_bytes(b"x" * size)
    monkeypatch.setattr(WebRoot, "hash", denied)
    node.dirty.mark(PAGE)
    (behind,) = asked(node, link, 3.0, sync=sync)
    assert behind.held and "page" in behind.why and "Permission denied" in behind.why and "give UID" in behind.why
    assert [PAGE] == [path for path, _ in node.intake.unreadable()], "the status lists it"


def test_a_large_file_that_cannot_be_read_ends_no_first_scan(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start()
    Path(node.root.path, "page").write_bytes(b"x" * LARGE)
    monkeypatch.setattr(WebRoot, "hash", denied)
    asyncio.run(asyncio.wait_for(node.first_scan(), 30))
    assert [PAGE] == [path for path, _ in node.intake.unreadable()]


def test_a_path_that_is_too_long_is_not_in_the_other_regions(start: Starter) -> None:
    node = running(start)
    link, path = link_to(node), RelPath(b"d/" * (MAX_PATH // 2) + b"page")
    connected(link)
    with pytest.raises(Unreachable) as raised:
        node.absorber.refresh(path)
    node.intake.put_off(path, raised.value)
    (behind,) = asked(node, link)
    assert behind.held and behind.why.startswith("1 paths are not sent, d/d/") and "shorten it" in behind.why


def test_what_became_unreadable_after_the_question_is_not_waited_for(start: Starter) -> None:
    node = running(start)
    link = link_to(node)
    connected(link)
    looks = iter([dict[RelPath, Unreachable]()])  # nothing at the question
    later = {PAGE: Unreachable(PAGE, "page: Permission denied", "look")}
    node.intake.unsent = lambda: next(looks, later)  # type: ignore[method-assign]
    assert () == asked(node, link)


def test_what_could_be_read_after_the_question_is_waited_for(start: Starter) -> None:
    node = running(start)
    link = link_to(node)
    outbound = connected(link, cursor=node.index.max_seq())
    looks = iter([{PAGE: Unreachable(PAGE, "page: Permission denied", "look")}])

    def looked() -> dict[RelPath, Unreachable]:
        first = next(looks, {})
        if not first and node.index.get(PAGE) is None:
            Path(node.root.path, "page").write_text("page")
            node.intake.absorb([PAGE])
            row = node.index.get(PAGE)
            assert row is not None
            outbound.changed(Changed(row, local=True), "")
        return first

    node.intake.unsent = looked  # type: ignore[method-assign]
    (behind,) = asked(node, link)
    assert not behind.held and "1 paths are not confirmed" == behind.why


def test_a_fifo_is_in_no_region_unless_it_took_the_place_of_something(start: Starter) -> None:
    node = running(start)
    link = link_to(node)
    connected(link)
    for name, text in (("fifo", ""), ("page", "page")):
        there = Path(node.root.path, name)
        if text:
            there.write_text(text)
            node.intake.absorb([RelPath(name.encode())])
            there.unlink()
        os.mkfifo(there)
        node.intake.absorb([RelPath(name.encode())])
    assert [b"fifo", b"page"] == sorted(path for path, _ in node.intake.unreadable())
    (behind,) = asked(node, link)
    assert behind.held and behind.why.startswith("1 paths are not sent, page among them: ")


@both
def test_what_a_region_does_not_know_any_more_is_held(start: Starter, sync: bool) -> None:
    node = running(start)
    link = link_to(node)
    connected(link)
    Path(node.root.path, "page").write_text("page")
    node.intake.absorb([PAGE])
    row = node.index.get(PAGE)
    assert row is not None
    node.forgotten.mark("ams", [(PAGE, row.seq)])
    (behind,) = asked(node, link, sync=sync)
    assert behind.held and "held as `forgotten`, page among it: " in behind.why and "--trash or --offer" in behind.why


@both
def test_what_a_region_holds_is_held_when_it_is_connected_anew(start: Starter, sync: bool) -> None:
    node = running(start)
    link = link_to(node)
    connected(link).problems[PAGE] = "held as `changes`"
    link.outbound = None
    connected(link)
    (behind,) = asked(node, link, sync=sync)
    assert behind.held and "page among them: held as `changes`" in behind.why


@pytest.mark.parametrize(
    ("hello", "cursor"),
    [({"epoch": 55}, 1000), ({"node": "ams-1"}, 1000), ({}, 0)],
    ids=["another index", "another node", "everything is sent again"],
)
def test_what_another_index_holds_is_not_known(start: Starter, hello: dict[str, Any], cursor: int) -> None:
    node = running(start)
    link = link_to(node)
    connected(link).problems[PAGE] = "held as `changes`"
    assert {} == connected(link, msgspec.structs.replace(HELLO, **hello), cursor).problems


def test_what_the_region_has_sent_itself_it_does_not_hold(start: Starter) -> None:
    node = running(start)
    outbound = connected(link_to(node))
    Path(node.root.path, "page").write_text("page")
    node.intake.absorb([PAGE])
    row = node.index.get(PAGE)
    assert row is not None
    outbound.problems[PAGE] = "held as `changes`"
    outbound.changed(Changed(row, local=False, heard=row.version), "ams")
    assert {} == outbound.problems
