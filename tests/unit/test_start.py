"""A start on a volume whose index cannot be opened: it waits, and says so to whoever asks."""

import asyncio
import errno
import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from sidecar import daemon
from sidecar.errors import EnvironmentFault, GeorootError
from sidecar.index.faults import IndexBusy, IndexDamaged, IndexFull
from sidecar.metrics import Metrics
from tests.unit.engine.conftest import options


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Volume:
    """Its index cannot be opened while it is `broken`."""

    def __init__(self, base: Path, error: Exception) -> None:
        self._error = error
        self.broken = True
        self.port = free_port()
        self.run_dir = base
        self.settings: Any = SimpleNamespace(
            layout="beside", http_listen="127.0.0.1", http_port=self.port, options=options(base)
        )

    def open(self, _state: str) -> Any:
        if self.broken:
            raise self._error
        return "the index"

    def free_bytes(self) -> int:
        return 0

    async def opened(self) -> Any:
        root: Any = self
        return await daemon._opened(self.settings, options(self.run_dir), root, Metrics())

    async def listens(self) -> None:
        while True:
            if (self.run_dir / "http_port").exists():
                return
            await asyncio.sleep(0.01)

    async def asked(self, method: str, path: str, *, own: bool = False) -> tuple[int, str]:
        """Over the port, or its own user's socket."""
        connector = aiohttp.UnixConnector(str(self.run_dir / "admin.sock")) if own else None
        host = "sidecar" if own else f"127.0.0.1:{self.port}"
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(method, f"http://{host}{path}") as answer,
        ):
            return answer.status, await answer.text()


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Volume:
    made = Volume(tmp_path, request.param)
    monkeypatch.setattr(daemon, "open_index", made.open)
    monkeypatch.setattr("sidecar.engine.patience.AGAIN", 0.01)
    return made


@pytest.mark.parametrize("volume", [IndexFull("full"), IndexBusy("full")], indirect=True)
async def test_what_a_start_waits_for_is_told_to_probes_and_commands(volume: Volume) -> None:
    opening = asyncio.ensure_future(volume.opened())
    try:
        async with asyncio.timeout(30):
            await volume.listens()
            assert (200, "ok\n") == await volume.asked("GET", "/livez")
            why = "starting: the first scan is not over: the index waits: full\n"
            assert [(503, why)] * 2 == [await volume.asked("GET", path) for path in ("/readyz", "/startupz")]
            code, metrics = await volume.asked("GET", "/metrics")
            assert 200 == code and "georoot_ready 0.0" in metrics and "georoot_warnings 1.0" in metrics
            for own in (False, True):
                code, status = await volume.asked("GET", "/api/status", own=own)
                told = json.loads(status)
                assert (200, "starting", ["the index waits: full"]) == (code, told["state"], told["warnings"])
            for method, path in (("POST", "/api/pause"), ("GET", "/api/trash")):
                code, failure = await volume.asked(method, path, own=True)
                told = json.loads(failure)
                assert (503, "the sidecar is still starting: the index waits: full") == (code, told["error"])
            volume.broken = False
            assert "the index" == await opening
    finally:
        opening.cancel()
    assert not (volume.run_dir / "http_port").exists(), "the port is free for the node"


@pytest.mark.parametrize(
    "volume", [IndexDamaged("torn"), EnvironmentFault("state", "is a newer release's", "upgrade")], indirect=True
)
async def test_what_waiting_does_not_mend_ends_the_start(volume: Volume) -> None:
    with pytest.raises(GeorootError) as raised:
        await asyncio.wait_for(volume.opened(), 30)
    assert raised.value is volume._error


@pytest.mark.parametrize(("number", "elsewhere"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, False)])
async def test_rsync_is_tried_elsewhere_if_the_disk_or_the_quota_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, elsewhere: bool
) -> None:
    state, run_dir = tmp_path / "state", tmp_path / "run"
    where: list[Path] = []

    def prepare(base: str) -> None:
        if state in Path(base).parents:
            raise OSError(number, "not here")

    async def row(base: str, *_: object) -> None:
        where.append(Path(base).parent)

    async def version(_: object) -> str:
        return "3.5.0"

    for name, instead in (("_prepare", prepare), ("_row", row), ("_version", version)):
        monkeypatch.setattr(f"sidecar.link.selftest.{name}", instead)
    for made in (state, run_dir):
        made.mkdir()
    if not elsewhere:
        with pytest.raises(EnvironmentFault, match="not here"):
            await daemon.tried(True, str(state), str(run_dir), {})
        return
    assert "3.5.0" == await daemon.tried(True, str(state), str(run_dir), {})
    assert {run_dir} == set(where)
    assert not list(state.iterdir())
