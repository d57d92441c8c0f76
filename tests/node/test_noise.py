"""What ssh and rsync print does not matter, however much it is: nothing waits for it, and it is not kept."""

import os
import shutil
from pathlib import Path

import pytest

from tests.node.sidecars import Regions, Sidecar, regions

PRINTED = 10_000_000
HEADROOM_KIB = 100_000
"""Ten times what is printed would be found here, were it kept."""


def noisy(where: Path, program: str, line: str) -> str:
    """A PATH on which `program` prints so much on stderr before it does its work."""
    where.mkdir()
    real = shutil.which(program)
    wrapper = where / program
    wrapper.write_text(f"#!/bin/sh\nyes '{line}' | head -c {PRINTED} >&2\nexec {real} \"$@\"\n", "utf-8")
    wrapper.chmod(0o755)
    return f"{where}:{os.environ['PATH']}"


def peak_kib(one: Sidecar) -> int:
    """The most memory that the daemon had."""
    assert one._process is not None
    lines = Path(f"/proc/{one._process.pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def work(pair: Regions) -> None:
    for one in pair.all:
        for number in range(50):
            (one.html / f"{one.region}-{number}").write_text(f"{number}" * 1000)
    assert 100 == len(pair.wait_identical())


@pytest.mark.parametrize("program", ["ssh", "rsync"])
@pytest.mark.parametrize("line", ["a line of some length, again and again", ""], ids=["lines", "empty lines"])
def test_ten_megabytes_on_stderr_hold_up_nothing(tmp_path: Path, program: str, line: str) -> None:
    with regions(tmp_path, "msk", "ams") as quiet:
        quiet.start()
        work(quiet)
        usual = max(peak_kib(one) for one in quiet.all)
    (tmp_path / "noisy").mkdir()
    with regions(tmp_path / "noisy", "msk", "ams") as pair:
        path = noisy(tmp_path / "bin", program, line)
        for one in pair.all:
            one.env["PATH"] = path
        pair.start()
        work(pair)
        assert max(peak_kib(one) for one in pair.all) < usual + HEADROOM_KIB
        assert all("a line of some length" not in str(one.status()) for one in pair.all)
