"""Which rsync goes on with what, and when what is left of a large file goes."""

import asyncio
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sidecar.core.paths import RelPath
from sidecar.engine import partials
from sidecar.engine.node import Node
from sidecar.fs import partial
from tests.unit.engine.conftest import Starter

PATH = RelPath(b"video")
SIZE = 3 * partial.LEAST


def asked(node: Node, batch: str, path: RelPath = PATH, region: str = "ams") -> str:
    """The batch is announced, and its rsync asks."""

    async def ask() -> str:
        node.partials.announced(region, batch, path, SIZE)
        return await node.partials.ready(region, batch)

    return asyncio.run(ask())


def deliver(node: Node, batch: str, size: int = 2 * partial.LEAST, name: str = ".video.AbC123") -> None:
    directory = Path(node.options.inbox) / "ams" / batch
    directory.mkdir(parents=True)
    (directory / name).write_bytes(b"n" * size)


def cut_off(node: Node, batch: str) -> str:
    """A transfer that began, and was cut."""
    name = asked(node, batch)
    deliver(node, batch)
    node.inbox.forget("ams", batch)
    return name


def there(node: Node) -> int:
    return partial.size_of(node.root, "ams", PATH)


def test_what_was_cut_off_is_gone_on_with(start: Starter) -> None:
    node = start()
    assert "" == cut_off(node, "a.1")
    assert partial.name_of(PATH) == asked(node, "a.2")
    assert 2 * partial.LEAST == there(node)


def test_what_the_batch_before_has_not_given_up_yet_is_taken_from_it(start: Starter) -> None:
    """A link that is back at once: the batch of the old one is only forgotten ten seconds later."""
    node = start()
    asked(node, "a.1")
    deliver(node, "a.1")
    assert partial.name_of(PATH) == asked(node, "a.2")
    node.inbox.forget("ams", "a.1")
    assert 2 * partial.LEAST == there(node), "it is another's by now"


def test_it_outlives_a_kill(start: Starter) -> None:
    node = start()
    asked(node, "a.1")
    deliver(node, "a.1")
    node = start()
    assert [] == os.listdir(Path(node.options.inbox) / "ams")
    assert partial.name_of(PATH) == asked(node, "a.2")


def test_a_batch_that_is_announced_after_its_rsync_has_asked_is_waited_for(start: Starter) -> None:
    node = start()
    cut_off(node, "a.1")

    async def ask() -> str:
        asking = asyncio.ensure_future(node.partials.ready("ams", "a.2"))
        await asyncio.sleep(0.01)
        node.partials.announced("ams", "a.2", PATH, SIZE)
        return await asking

    assert partial.name_of(PATH) == asyncio.run(ask())


def test_one_that_is_never_announced_begins_anew(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "ANNOUNCED", 0.01)
    node = start()
    cut_off(node, "a.1")
    assert "" == asyncio.run(node.partials.ready("ams", "a.2"))


def test_two_nodes_of_a_region_do_not_write_to_the_same(start: Starter) -> None:
    node = start()
    cut_off(node, "a.1")
    assert partial.name_of(PATH) == asked(node, "a.2")
    assert "" == asked(node, "b.1")
    node.inbox.forget("ams", "b.1")
    assert 2 * partial.LEAST == there(node)
    assert partial.name_of(PATH) == asked(node, "a.3")


def test_regions_do_not_share_it(start: Starter) -> None:
    node = start()
    cut_off(node, "a.1")
    assert "" == asked(node, "s.1", region="spb")


def test_what_was_begun_over_another_file_is_not_gone_on_with(start: Starter) -> None:
    node = start()
    cut_off(node, "a.1")
    (Path(node.root.path) / "video").write_text("written here meanwhile")
    node.absorber.refresh(PATH)
    assert "" == asked(node, "a.2")
    assert 0 == there(node)


def test_what_somebody_still_writes_to_is_not_gone_on_with(start: Starter) -> None:
    node = start()
    cut_off(node, "a.1")
    with (Path(node.options.state) / "partial/ams" / partial.name_of(PATH) / "video").open("r+"):
        assert "" == asked(node, "a.2")
    assert 0 == there(node)


@pytest.mark.parametrize("again", [False, True])
def test_what_arrived_whole_and_did_not_land_is_kept_if_it_is_to_come_again(start: Starter, again: bool) -> None:
    node = start()
    asked(node, "a.1")
    deliver(node, "a.1", SIZE, "video")
    node.inbox.forget("ams", "a.1", again=again)
    assert (SIZE if again else 0) == there(node)
    assert again == bool(list(partial.kept(node.root)))


def test_nothing_is_left_of_one_that_landed(start: Starter) -> None:
    node = start()
    asked(node, "a.1")
    node.inbox.forget("ams", "a.1")
    assert [] == list(partial.kept(node.root))


def test_what_nobody_goes_on_with_goes_when_it_is_old(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    node = start()
    cut_off(node, "a.1")
    node.partials.expire()
    assert there(node)
    now = time.time()
    monkeypatch.setattr(partials, "time", SimpleNamespace(time=lambda: now + partials.KEPT + 1))
    node.partials.expire()
    assert not there(node)


def test_it_goes_when_its_file_is_another_one(start: Starter) -> None:
    node = start()
    cut_off(node, "a.1")
    (Path(node.root.path) / "video").write_text("written here meanwhile")
    node.absorber.refresh(PATH)
    node.partials.expire()
    assert [] == list(partial.kept(node.root))


def test_all_but_the_newest_of_a_region_go(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "MOST", 2)
    node = start()
    for number in range(4):
        path = RelPath(b"video%d" % number)
        asked(node, f"a.{number}", path)
        deliver(node, f"a.{number}", name=f"video{number}")
        node.inbox.forget("ams", f"a.{number}")
        kept = Path(node.options.state) / "partial/ams" / partial.name_of(path)
        os.utime(kept / f"video{number}", (2e9 + number, 2e9 + number))
    node.partials.expire()
    assert {b"video2", b"video3"} == {one.note.path for one in partial.kept(node.root)}


def test_where_the_disk_is_full_what_nobody_goes_on_with_goes_at_once(start: Starter) -> None:
    node = start()
    cut_off(node, "a.1")
    asked(node, "a.2")
    node.partials.make_room()
    assert there(node), "an rsync writes to it"
    node.inbox.forget("ams", "a.2")
    assert there(node)
    node.partials.make_room()
    assert not there(node)
