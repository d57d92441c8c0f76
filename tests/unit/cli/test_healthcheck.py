"""`sidecar healthcheck`."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.cli import ask, healthcheck
from sidecar.engine.status import NodeState, Status
from sidecar.web import server
from sidecar.web.server import serve
from tests.unit.cli.conftest import Sidecar
from tests.unit.web.fakes import CUT, WELL, FakeNode, FakeOrders, but

SHORT = 0.3
PROJECT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOROOT_RUN_DIR", str(tmp_path))


@contextmanager
def answering(*parts: bytes, pause: float = 0.0) -> Iterator[int]:
    """Something that says `parts` to whoever connects, and then nothing; it never closes. Yields its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            kept = []
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    break
                kept.append(one)
                for part in parts:
                    try:
                        one.sendall(part)
                    except OSError:  # it was hung up on
                        break
                    if over.wait(pause):
                        break
            for one in kept:
                one.close()

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)


async def check(status: Status, run_dir: Path) -> tuple[int, str]:
    """What the health check says of a sidecar with this status."""
    async with serve(FakeNode(status), FakeOrders(), listen="127.0.0.1", port=0, run_dir=str(run_dir)) as port:
        why = await asyncio.to_thread(healthcheck.unhealthy, 4.0)
        code = await asyncio.to_thread(healthcheck.main, [])
        return code, why.replace(str(port), "PORT")


@pytest.mark.parametrize("status", [WELL, but(peers=(CUT,)), but(state=NodeState.FINDING)])
async def test_a_region_that_can_serve_is_healthy(tmp_path: Path, status: Status) -> None:
    assert (0, "") == await check(status, tmp_path)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (but(alive=False), "http://127.0.0.1:PORT/livez: a part of the sidecar has stopped"),
        (
            but(state=NodeState.SCANNING, ready=False),
            "http://127.0.0.1:PORT/readyz: scanning: the first scan is not over",
        ),
    ],
)
async def test_alive_is_not_enough_and_ready_is_not_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: Status, why: str
) -> None:
    assert (1, why) == await check(status, tmp_path)
    assert 1 == capsys.readouterr().err.count("\n")


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_where_nobody_listens_it_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = unused_port()
    monkeypatch.setenv("GEOROOT_HTTP_PORT", str(port))
    assert 1 == healthcheck.main([])
    said = capsys.readouterr().err
    assert f"sidecar: http://127.0.0.1:{port}/livez: Connection refused\n" == said


@pytest.mark.parametrize("parts", [(), (b"HTTP/1.1 200 OK\r\n",)])
def test_a_server_that_hangs_is_unhealthy_in_time(monkeypatch: pytest.MonkeyPatch, parts: tuple[bytes, ...]) -> None:
    with answering(*parts) as port:
        monkeypatch.setenv("GEOROOT_HTTP_PORT", str(port))
        began = time.monotonic()
        assert f"http://127.0.0.1:{port}/livez: timed out" == healthcheck.unhealthy(SHORT)
        assert SHORT <= time.monotonic() - began < 4 * SHORT


def test_a_server_that_drips_gets_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(*[b"x"] * 1000, pause=SHORT / 5) as port:
        monkeypatch.setenv("GEOROOT_HTTP_PORT", str(port))
        began = time.monotonic()
        assert f"http://127.0.0.1:{port}/livez: timed out" == healthcheck.unhealthy(SHORT)
        assert time.monotonic() - began < 4 * SHORT


def test_a_server_that_speaks_without_end_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"SSH-2.0-x\r\n" * 10_000) as port:
        monkeypatch.setenv("GEOROOT_HTTP_PORT", str(port))
        assert healthcheck.unhealthy(4.0).endswith("/livez: SSH-2.0-x")


def test_its_limit_is_below_the_containers() -> None:
    assert healthcheck.LIMIT <= 4.0
    assert "--timeout=5s" in (PROJECT / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("file", "variable", "expected"),
    [
        (None, None, ("127.0.0.1", 8080)),
        (None, "9000", ("127.0.0.1", 9000)),
        (None, "", ("127.0.0.1", 8080)),
        ("::1 8081\n", "9000", ("::1", 8081)),
        ("10.0.0.7 8081\n", None, ("10.0.0.7", 8081)),
    ],
)
def test_what_the_daemon_wrote_counts_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str | None, variable: str | None, expected: tuple[str, int]
) -> None:
    if file is not None:
        (tmp_path / "http_port").write_text(file)
    if variable is not None:
        monkeypatch.setenv("GEOROOT_HTTP_PORT", variable)
    assert expected == healthcheck._where()


@pytest.mark.parametrize("port", ["http", "123456", "-1", "\N{SUPERSCRIPT TWO}"])
def test_what_is_no_port_is_unhealthy_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("GEOROOT_HTTP_PORT", port)
    assert 1 == healthcheck.main([])
    assert 1 == capsys.readouterr().err.count("\n")


def test_it_takes_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == healthcheck.main(["--port", "1"])
    assert "sidecar: healthcheck takes no arguments, not '--port'\n" == capsys.readouterr().err


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_it_explains_itself(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert 0 == healthcheck.main([option])
    assert capsys.readouterr().out.startswith("Usage: sidecar healthcheck\n")


def test_the_other_commands_lead_to_it_too(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOROOT_HTTP_PORT", str(unused_port()))
    ran = sidecar("healthcheck")
    assert (1, 1) == (ran.code, ran.err.count("\n"))


def test_it_runs_on_the_standard_library_and_little_of_it(tmp_path: Path) -> None:
    as_launched = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules));"
        f"sys.path.append({str(PROJECT)!r}); from sidecar.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", as_launched, "healthcheck"],
        env={**os.environ, "GEOROOT_HTTP_PORT": str(unused_port())},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (1, 1) == (done.returncode, done.stderr.count("\n"))
    loaded = set(done.stdout.split())
    assert {"sidecar", "sidecar.__main__", "sidecar.cli", "sidecar.cli.healthcheck"} == {
        name for name in loaded if name.startswith("sidecar")
    }
    assert not {"socket", "typing", "enum", "re", "http", "click", "logging", "dataclasses"} & loaded


def test_commands_and_daemon_agree_on_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.ADMIN == ask.SOCKET
    (tmp_path / server.HTTP_PORT).write_text("192.0.2.1 77\n")
    assert ("192.0.2.1", 77) == healthcheck._where()
