"""What lies in the web root is told without following a symlink anywhere."""

import os
from pathlib import Path

import pytest

from sidecar.core.entry import Kind
from sidecar.core.paths import ROOT, RelPath
from sidecar.fs.faults import Missing
from sidecar.fs.tree import Tree
from tests.unit.fs.conftest import Site


def test_a_missing_directory_is_asked_for_once_in_a_block_that_looks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[bytes] = []
    real = Tree.open

    def told(tree: Tree, path: bytes, flags: int, mode: int = 0) -> int:
        opened.append(path)
        return real(tree, path, flags, mode)

    monkeypatch.setattr(Tree, "open", told)
    with site.root.looking():
        assert [None] * 3 == [site.root.lstat(RelPath(b"d/%d" % number)) for number in range(3)]
        site.write("d/1")
    assert [b"d"] == opened
    with site.root.looking():
        assert site.root.lstat(RelPath(b"d/1")) is not None


def test_a_block_that_changes_the_tree_finds_what_it_made(site: Site) -> None:
    with site.root.holding():
        assert site.root.lstat(RelPath(b"d/1")) is None
        site.write("d/1")
        assert site.root.lstat(RelPath(b"d/1")) is not None


def test_a_symlink_is_told_by_its_target_and_never_followed(site: Site) -> None:
    site.write("real/page")
    (site.html / "link").symlink_to("real")
    stat = site.root.lstat(RelPath(b"link"))
    assert stat is not None
    assert (Kind.SYMLINK, b"real", 0, 0) == (stat.kind, stat.target, stat.mode, stat.size)
    assert b"real" == site.root.readlink(RelPath(b"link"))
    assert site.root.lstat(RelPath(b"link/page")) is None
    with pytest.raises(Missing):
        site.root.hash(RelPath(b"link/page"))
    with pytest.raises(Missing):
        site.root.listdir(RelPath(b"link"))


def test_nothing_lies_beneath_a_file_or_a_missing_directory(site: Site) -> None:
    site.write("f")
    assert site.root.lstat(RelPath(b"f/below")) is None
    assert site.root.lstat(RelPath(b"no/where")) is None
    with pytest.raises(Missing):
        site.root.readlink(RelPath(b"f"))


def test_an_absolute_or_climbing_path_stays_outside(site: Site) -> None:
    (site.volume / "secret").write_text("s")
    (site.html / "up").symlink_to("..")
    assert site.root.lstat(RelPath(b"up/secret")) is None
    if site.root._openat2:
        with pytest.raises(Exception, match="secret"):
            site.root.hash(RelPath(b"../secret"))


def test_names_of_any_bytes_are_read_back_as_they_are(site: Site) -> None:
    names = sorted([b"\xff\xfe", b"new\nline", b"#hash", b";semi", b"n" * 255, b" ", "ü".encode()])
    for name in names:
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=site.root.fd))
    assert names == [name for name, _ in site.root.listdir(ROOT).entries]
    assert all(site.root.lstat(RelPath(name)) is not None for name in names)


def test_the_longest_path_is_reached(site: Site) -> None:
    names = [b"d" * 254] * 16
    at = os.dup(site.root.fd)
    for name in names[:-1]:
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open(names[-1], os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    path = RelPath(b"/".join(names))
    assert 4079 == len(path)
    stat = site.root.lstat(path)
    assert stat is not None and stat.kind is Kind.FILE
    assert stat == site.root.hash(path)[0]


def test_reading_leaves_the_access_time_alone(site: Site) -> None:
    path = site.write("f", "data")
    os.utime(site.html / "f", ns=(5_000_000_000, 6_000_000_000))
    site.root.hash(path)
    assert 5_000_000_000 == os.stat(site.html / "f").st_atime_ns


def test_no_descriptor_is_left_open(site: Site) -> None:
    path = site.write("a/b/f")
    before = len(os.listdir("/proc/self/fd"))
    site.root.lstat(path)
    site.root.hash(path)
    site.root.listdir(RelPath(b"a/b"))
    site.root.is_open_for_writing(path)
    assert site.root.lstat(RelPath(b"a/b/f/g")) is None
    with pytest.raises(Missing):
        site.root.hash(RelPath(b"a/nope/f"))
    assert before == len(os.listdir("/proc/self/fd"))


def test_a_symlink_renamed_over_a_directory_leads_nowhere(site: Site, tmp_path: Path) -> None:
    site.write("d/f", "inside")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "f").write_text("outside")
    (site.html / "d").rename(site.html / "was")
    (site.html / "d").symlink_to(tmp_path / "elsewhere")
    assert site.root.lstat(RelPath(b"d/f")) is None
    assert site.root.lstat(RelPath(b"was/f")) is not None
