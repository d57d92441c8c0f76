"""What a child is given on stdin, and its end."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.errors import EnvironmentFault
from sidecar.link import process
from sidecar.link.process import Child

WITHIN = 20.0


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def started(*argv: str) -> Child:
    return await process.start(argv, dict(os.environ), stdin=asyncio.subprocess.PIPE)


async def ended(child: Child) -> int:
    async with asyncio.timeout(WITHIN):
        return await child.wait()


def look_until(seen: Callable[[], bool]) -> bool:
    """Without a turn of the loop."""
    end = time.monotonic() + WITHIN
    while not seen() and time.monotonic() < end:
        time.sleep(0.001)
    return seen()


async def test_the_end_of_what_it_is_given_waits_for_no_turn_of_the_loop(tmp_path: Path) -> None:
    done = tmp_path / "done"
    child = await started("sh", "-c", f'cat >/dev/null; echo >"{done}"')

    child.give(b"a name\0")

    assert look_until(done.exists)
    assert await ended(child) == 0


async def test_what_fits_into_no_pipe_comes_whole(tmp_path: Path) -> None:
    given = os.urandom(1 << 20)
    child = await started("sh", "-c", f'sleep 0.1; cat >"{tmp_path / "got"}"')

    child.give(given)

    assert await ended(child) == 0
    assert (tmp_path / "got").read_bytes() == given


@pytest.mark.parametrize("given", [None, b"a name\0", bytes(1 << 20)], ids=["nothing", "little", "much"])
async def test_one_that_reads_nothing_leaves_no_open_file(given: bytes | None) -> None:
    await ended(await started("true"))
    before = open_files()
    child = await started("sleep", "60")

    if given is not None:
        child.give(given)
    child.kill()

    assert await ended(child) < 0
    child.let_go()
    await asyncio.sleep(0)
    async with asyncio.timeout(WITHIN):
        while open_files() > before:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_one_that_has_ended_takes_what_it_is_given() -> None:
    child = await started("true")
    await ended(child)

    child.give(b"a name\0")


async def test_a_program_that_is_not_there_leaves_no_open_file(tmp_path: Path) -> None:
    await ended(await started("true"))
    before = open_files()

    with pytest.raises(EnvironmentFault):
        await started(str(tmp_path / "none"))

    assert open_files() <= before
