"""`sidecar verify`: what it prints, and its exit codes."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from sidecar.engine.orders import Differing, RegionVerified, Verified, What
from sidecar.errors import NeedsHelp
from sidecar.web.server import serve
from tests.unit.cli.conftest import Ran, Sidecar
from tests.unit.web.fakes import FakeNode, FakeOrders

PAGE = What("file", 5, 0o644, 1.0, "0123456789abcdef0123456789abcdef", "")
WELL = RegionVerified("ams", "", (), 0, (), 0)
CUT = RegionVerified("fra", "connection refused", (), 0, (), 0)


def differs(*paths: Differing, more: int = 0) -> RegionVerified:
    return RegionVerified("ams", "", paths, len(paths) + more, (), 0)


async def verified(run_dir: Path, sidecar: Sidecar, result: Verified, *arguments: str) -> Ran:
    orders = FakeOrders()
    orders.verified = result
    async with serve(FakeNode(), orders, listen="127.0.0.1", port=0, run_dir=str(run_dir)):
        return await asyncio.to_thread(sidecar, "verify", "--run-dir", str(run_dir), *arguments)


@pytest.mark.parametrize(
    ("result", "code", "lines"),
    [
        (Verified(7, (), 0, (WELL,)), 0, ["ams: identical, 7 files"]),
        (Verified(7, (), 0, ()), 0, []),
        (
            Verified(7, (), 0, (WELL, CUT)),
            6,
            ["ams: identical, 7 files", "fra: could not be asked: connection refused"],
        ),
        (
            Verified(7, (), 0, (differs(Differing(b"a\xff", PAGE, None, "held there"), more=2), CUT)),
            7,
            [
                "ams: a\\udcff: here a file, there nothing (held there)",
                "ams: 2 more are different",
                "fra: could not be asked: connection refused",
            ],
        ),
        (
            Verified(7, (b"bad",), 2, (msgspec.structs.replace(WELL, damaged=(b"rotten",), damaged_count=1),)),
            7,
            ["here: damaged: bad", "here: 1 more are damaged", "ams: damaged: rotten"],
        ),
        (
            Verified(
                7, (), 0, (differs(Differing(b"a", PAGE, msgspec.structs.replace(PAGE, hash="f" * 32, size=6), "")),)
            ),
            7,
            ["ams: a: other content: here 5 bytes 0123456789ab, there 6 bytes ffffffffffff"],
        ),
        (
            Verified(7, (), 0, (differs(Differing(b"a", PAGE, msgspec.structs.replace(PAGE, mode=0o600), "")),)),
            7,
            ["ams: a: mode 644 here, 600 there"],
        ),
        (
            Verified(7, (), 0, (differs(Differing(b"a", PAGE, msgspec.structs.replace(PAGE, mtime=2.0), "")),)),
            7,
            ["ams: a: other mtime"],
        ),
    ],
)
async def test_what_differs_is_a_line_each(
    tmp_path: Path, sidecar: Sidecar, result: Verified, code: int, lines: list[str]
) -> None:
    ran = await verified(tmp_path, sidecar, result)
    assert (code, "", lines) == (ran.code, ran.err, ran.out.splitlines())


async def test_json_keeps_names_of_any_bytes(tmp_path: Path, sidecar: Sidecar) -> None:
    result = Verified(7, (), 0, (differs(Differing(b"a\xff", PAGE, None, "")),))
    ran = await verified(tmp_path, sidecar, result, "--json")
    (found,) = json.loads(ran.out)["regions"]
    assert (7, "a\udcff", None) == (ran.code, found["differing"][0]["path"], found["differing"][0]["there"])


async def test_what_goes_wrong_is_one_line_with_its_code(tmp_path: Path, sidecar: Sidecar) -> None:
    for problem, code in ((NeedsHelp("no such peer: nyc", "the peers are ams"), 1), (KeyError("x"), 70)):
        async with serve(FakeNode(), FakeOrders(problem), listen="127.0.0.1", port=0, run_dir=str(tmp_path)):
            with capture_logs():
                ran = await asyncio.to_thread(sidecar, "verify", "--run-dir", str(tmp_path), "nyc")
        assert (code, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
