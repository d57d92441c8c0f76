"""What of a batch has arrived when its rsync has ended: all that lies there, whatever is missing beside it."""

import asyncio
from pathlib import Path

import pytest
import xxhash

from sidecar.core.entry import Dot, Head, Kind, Version
from sidecar.core.frames import Batch, Entry, How, Lane
from sidecar.core.paths import RelPath
from tests.unit.engine.conftest import Starter

COUNT = 40
NAMES = [RelPath(b"p%d" % number) for number in range(COUNT)]


@pytest.mark.parametrize("arrived", [NAMES, NAMES[:5], NAMES[-5:], NAMES[::3], []])
def test_what_an_rsync_that_failed_has_brought_is_not_sent_again(start: Starter, arrived: list[RelPath]) -> None:
    """It sends in an order of its own: of a thousand files nine were looked for in vain, and the rest was taken to be
    missing too."""
    node = start()
    inbox = Path(node.options.inbox, "ams", "ams.1")
    inbox.mkdir(parents=True)
    for name in arrived:
        (inbox / name.decode()).write_bytes(name)
    heads = {
        name: Head(Dot(at + 1, 9), Kind.FILE, len(name), 1, 0o644, xxhash.xxh3_128_digest(name))
        for at, name in enumerate(NAMES)
    }
    entries = (Entry(name, Version(((9, head.dot.counter),), (head,)), How.STAGED) for name, head in heads.items())
    batch = Batch(Lane.SMALL, 1, "ams.1", 0, tuple(entries))

    async def staged() -> set[bytes]:
        ended = asyncio.get_running_loop().create_future()
        ended.set_result(12)
        return set(await node.inbox.staged("ams", batch, ended))

    assert set(arrived) == asyncio.run(staged())


@pytest.mark.parametrize("steps", range(6))
def test_a_link_that_is_cut_just_when_files_arrive_waits_for_no_more(start: Starter, steps: int) -> None:
    """asyncio.wait_for loses that cancellation before Python 3.12: the lane went on, and the link never ended."""
    node = start()
    head = Head(Dot(1, 9), Kind.FILE, 2, 1, 0o644, xxhash.xxh3_128_digest(b"p0"))
    batch = Batch(Lane.SMALL, 1, "ams.1", 0, (Entry(NAMES[0], Version(((9, 1),), (head,)), How.STAGED),))

    async def cut() -> None:
        ended = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(node.inbox.staged("ams", batch, ended))
        await asyncio.sleep(0.01)
        node.inbox.arrived([RelPath(b"ams/ams.1/p0")])
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait((waiting,), timeout=1.0)
        still = not waiting.done()
        ended.set_result(0)  # so that it ends in any case
        await asyncio.wait((waiting,))
        assert (False, True) == (still, waiting.cancelled())

    asyncio.run(cut())
