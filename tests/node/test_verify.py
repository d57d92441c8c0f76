"""Two whole sidecars, and a person who asks whether they are identical."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.entry import Row
from sidecar.core.paths import RelPath
from sidecar.fs.tree import Tree
from sidecar.index.store import Index
from tests.node.sidecars import Ran, Regions, Sidecar, regions
from tests.node.test_comparing import fill, set_cursor
from tests.support.asking import wait_for


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        for one in made.all:
            one.env["GEOROOT_COMPARE_INTERVAL"] = "0"
        made.start()
        yield made


def sides(pair: Regions) -> tuple[Sidecar, Sidecar]:
    msk, ams = pair.all
    return msk, ams


def told(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_regions_that_are_identical_are_told_so(pair: Regions) -> None:
    msk, ams = sides(pair)
    fill(msk, "page", 20)
    (ams.html / "dir").mkdir()
    (ams.html / "dir" / "link").symlink_to("../page-1")
    for one, other in ((msk, ams), (ams, msk)):
        # what was written just now is waited for
        (one.html / f"of {one.region}").write_text("x")
        ran = one.command("verify")
        assert (0, "", 1) == (ran.code, ran.err, ran.out.count("\n"))
        assert ran.out.startswith(f"{other.region}: identical, 2")
    ran = msk.command("verify", "--checksum")
    assert (0, "ams: identical, 22 files\n") == (ran.code, ran.out)


def test_what_differs_is_listed_and_a_look_changes_nothing(pair: Regions) -> None:
    msk, ams = sides(pair)
    fill(msk, "page", 10)
    (msk.html / "outside").symlink_to("/etc/passwd")
    wait_for(lambda: len(ams.tree()) == 10, "all but the symlink is there")
    wait_for(lambda: msk.settled, "it is held")
    ran = msk.command("verify")
    assert (7, 1) == (ran.code, ran.out.count("\n"))
    assert ran.out.startswith("ams: outside: here a symlink, there nothing (the symlink leaves the web root")
    ams.stop()
    fill(msk, "missed", 3)
    (msk.html / "page-1").write_text("edited")
    (msk.html / "page-2").unlink()
    wait_for(lambda: msk.status()["peers"][0]["pending"] == 5, "msk has taken up what it wrote")
    set_cursor(ams, msk, msk.status()["store"]["seq"])
    ams.start()
    pair.wait_settled()
    for one, other, missing in ((msk, ams, "there"), (ams, msk, "here")):
        ran = one.command("verify", "--json")
        assert (7, "") == (ran.code, ran.err)
        (region,) = told(ran)["regions"]
        found = {each["path"]: each for each in region["differing"]}
        assert {"missed-0", "missed-1", "missed-2", "page-1", "page-2", "outside"} == set(found)
        assert (other.region, 6) == (region["region"], region["differing_count"])
        assert (
            found["missed-0"][missing] is None
            and "symlink" == found["outside"]["here" if one is msk else "there"]["kind"]
        )
    lines = msk.command("verify").out.splitlines()
    assert "ams: missed-1: here a file, there nothing" in lines
    why = "ams: outside: here a symlink, there nothing (the symlink leaves the web root"
    assert any(line.startswith(why) for line in lines), "what was said before the link was cut is still known"


def test_a_region_that_is_not_there_could_not_be_asked(pair: Regions) -> None:
    msk, ams = sides(pair)
    ams.stop()
    wait_for(lambda: msk.status()["peers"][0]["state"] != "up", "msk sees it")
    for arguments in ((), ("--checksum",)):
        ran = msk.command("verify", *arguments)
        assert (6, "", 1) == (ran.code, ran.err, ran.out.count("\n"))
        assert ran.out.startswith("ams: could not be asked: ")
    ran = msk.command("verify", "nowhere")
    assert (1, "", 1) == (ran.code, ran.out, ran.err.count("\n"))


def damage(one: Sidecar, name: str) -> bytes:
    """The bytes of a file go bad on the disk of a node that is stopped: nothing of its stat changes."""
    path = RelPath(name.encode())
    was = (one.html / name).stat()
    bad = secrets.token_bytes(was.st_size)
    (one.html / name).write_bytes(bad)
    os.utime(one.html / name, ns=(was.st_atime_ns, was.st_mtime_ns))
    tree = Tree(os.open(one.html, os.O_RDONLY | os.O_DIRECTORY))
    index = Index.open(one.state / "index.db", lambda: 1)
    try:
        row = index.get(path)
        assert row is not None
        index.put_stat(Row(path, row.version, tree.lstat(path), row.hash, row.seq))
    finally:
        index.stop()
        tree.close()
    return bad


@pytest.mark.parametrize("where", [0, 1])
def test_a_damaged_file_is_found_reported_not_sent_and_healed_from_a_peer(pair: Regions, where: int) -> None:
    msk, _ = sides(pair)
    bad, well = pair.all[where], pair.all[1 - where]
    fill(msk, "page", 10)
    pair.wait_identical()
    content = (bad.html / "page-3").read_bytes()
    bad.stop()
    damaged = damage(bad, "page-3")
    bad.start()
    pair.wait_settled()
    assert 0 == msk.command("verify").code
    ran = msk.command("verify", "--checksum", "--json")
    assert 7 == ran.code
    result = told(ran)
    assert ["page-3"] == (result["damaged"] if bad is msk else result["regions"][0]["damaged"])
    assert ["page-3"] == [each["path"] for each in result["regions"][0]["differing"]]
    assert damaged == (bad.html / "page-3").read_bytes()
    assert content == (well.html / "page-3").read_bytes()
    assert ["page-3"] == [problem["path"] for problem in bad.status()["problems"]]
    well.stop()
    well.env["GEOROOT_COMPARE_INTERVAL"] = "1s"
    well.start()
    pair.wait_identical()
    assert content == (bad.html / "page-3").read_bytes()
    kept = [path.read_bytes() for path in (bad.state / "trash").rglob("*") if path.is_file()]
    assert [damaged] == kept
    ran = msk.command("verify", "--checksum")
    assert (0, "") == (ran.code, ran.err)
    assert [] == bad.status()["problems"]
