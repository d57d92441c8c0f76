"""The status file."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from structlog.testing import capture_logs

from sidecar.engine.status import Status
from sidecar.web.statusfile import write_status
from tests.unit.web.fakes import WELL, FakeNode, but

SOON = 0.005


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what is waited for is a file
            await asyncio.sleep(SOON)


@contextlib.asynccontextmanager
async def writing(path: Path, node: FakeNode) -> AsyncIterator[None]:
    task = asyncio.create_task(write_status(str(path), SOON, node.status))
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def read(path: Path) -> Status | None:
    return msgspec.json.decode(path.read_bytes(), type=Status) if path.exists() else None


async def test_it_holds_the_status_and_follows_it(tmp_path: Path) -> None:
    path, node = tmp_path / "status.json", FakeNode()
    async with writing(path, node):
        await until(path.exists)
        assert WELL == read(path)
        node.now = but(ready=False)
        await until(lambda: node.now == read(path))
    assert 0o644 == path.stat().st_mode & 0o777
    assert path.read_text().startswith('{\n  "region": "msk",\n')


async def test_what_prevents_it_is_logged_once_and_tried_again(tmp_path: Path) -> None:
    path, node = tmp_path / "later" / "status.json", FakeNode()
    asked: list[None] = []

    class Counted(FakeNode):
        def status(self) -> Status:
            asked.append(None)
            return super().status()

    node = Counted()
    with capture_logs() as logs:
        async with writing(path, node):
            await until(lambda: len(asked) > 3)
            assert ["the status file is not written"] == [line["event"] for line in logs]
            path.parent.mkdir()
            await until(path.exists)
            await until(lambda: len(logs) > 1)
    assert ["warning", "info"] == [line["log_level"] for line in logs]
    assert f"{path}: is not there" == logs[0]["problem"]
