"""Where a node listens: the port, and the socket in its run directory."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from sidecar.errors import EnvironmentFault
from sidecar.web.server import serve
from tests.unit.web.fakes import FakeNode, FakeOrders


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


WITH_IPV6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


async def fetch(url: str, connector: aiohttp.BaseConnector | None = None) -> int:
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        return answer.status


async def test_it_answers_on_its_port(tmp_path: Path) -> None:
    async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=0, run_dir=str(tmp_path)) as port:
        assert 200 == await fetch(f"http://127.0.0.1:{port}/readyz")
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch(f"http://127.0.0.1:{port}/readyz")


async def test_it_answers_its_own_user_on_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    before = os.umask(0)
    try:
        async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=0, run_dir=str(tmp_path)):
            assert 0o600 == stat.S_IMODE(path.stat().st_mode)
            assert 200 == await fetch("http://sidecar/api/status", aiohttp.UnixConnector(str(path)))
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - it is what is tested
        pytest.param("::1", "::1", marks=WITH_IPV6),
        pytest.param("::", "::1", marks=WITH_IPV6),
    ],
)
async def test_the_run_directory_says_where_this_machine_reaches_it(tmp_path: Path, listen: str, asked: str) -> None:
    async with serve(FakeNode(), FakeOrders(), listen=listen, port=0, run_dir=str(tmp_path)) as port:
        assert f"{asked} {port}\n" == (tmp_path / "http_port").read_text()


async def test_nothing_is_left_behind(tmp_path: Path) -> None:
    async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=0, run_dir=str(tmp_path)):
        assert ["admin.sock", "http_port"] == sorted(os.listdir(tmp_path))
    assert [] == os.listdir(tmp_path)


async def test_what_a_killed_sidecar_left_is_no_obstacle(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "admin.sock"))
    (tmp_path / "http_port").write_text("127.0.0.1 1\n")
    async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=0, run_dir=str(tmp_path)) as port:
        assert f"127.0.0.1 {port}\n" == (tmp_path / "http_port").read_text()
        assert 200 == await fetch("http://x/livez", aiohttp.UnixConnector(str(tmp_path / "admin.sock")))


async def test_a_port_that_is_taken_is_named(tmp_path: Path, taken: int) -> None:
    with pytest.raises(EnvironmentFault, match=f"http_port: 127.0.0.1:{taken} is taken"):
        async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=taken, run_dir=str(tmp_path)):
            pass


async def test_who_finds_the_port_taken_leaves_the_other_sidecars_files_alone(tmp_path: Path, taken: int) -> None:
    async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=0, run_dir=str(tmp_path)):
        with pytest.raises(EnvironmentFault):
            async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=taken, run_dir=str(tmp_path)):
                pass
        assert 200 == await fetch("http://x/livez", aiohttp.UnixConnector(str(tmp_path / "admin.sock")))


async def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"http_port: 192\.0\.2\.1:8080 is no address of this machine"):
        async with serve(FakeNode(), FakeOrders(), listen="192.0.2.1", port=8080, run_dir=str(tmp_path)):
            pass


async def test_a_run_directory_that_is_not_there_is_named_and_the_port_given_back(tmp_path: Path) -> None:
    run_dir = str(tmp_path / "gone")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(EnvironmentFault, match=r"gone/admin\.sock: cannot be listened on"):
        async with serve(FakeNode(), FakeOrders(), listen="127.0.0.1", port=port, run_dir=run_dir):
            pass
    with socket.create_server(("127.0.0.1", port)):
        pass
