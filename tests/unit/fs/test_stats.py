"""Of what lies somewhere that is told which is replicated."""

import os
import socket

import pytest

from sidecar.core.entry import Kind
from sidecar.core.paths import ROOT, RelPath
from sidecar.fs.faults import Missing, Special
from tests.unit.fs.conftest import Site


def test_a_file_is_told_with_size_time_mode_and_inode(site: Site) -> None:
    path = site.write("a/index.html", "hello", 0o640)
    os.utime(site.html / "a/index.html", ns=(1, 1_600_000_000_123_456_789))
    stat = site.root.lstat(path)
    assert stat is not None
    assert (Kind.FILE, 5, 1_600_000_000_123_456_789, 0o640) == (stat.kind, stat.size, stat.mtime_ns, stat.mode)
    assert os.lstat(site.html / "a/index.html").st_ino == stat.ino
    assert os.lstat(site.html / "a/index.html").st_ctime_ns == stat.ctime_ns


def test_the_birth_time_stays_when_the_file_changes(site: Site) -> None:
    path = site.write("f")
    before = site.root.lstat(path)
    site.write("f", "longer")
    after = site.root.lstat(path)
    assert before is not None and after is not None
    assert before.btime_ns == after.btime_ns
    assert before.ino == after.ino


def test_a_directory_is_told_without_size_and_time(site: Site) -> None:
    (site.html / "d").mkdir()
    (site.html / "d").chmod(0o2750)
    stat = site.root.lstat(RelPath(b"d"))
    assert stat is not None
    assert (Kind.DIR, 0, 0, 0o2750) == (stat.kind, stat.size, stat.mtime_ns, stat.mode)


def test_fifos_and_sockets_are_special(site: Site) -> None:
    os.mkfifo(site.html / "fifo")
    here = os.getcwd()
    os.chdir(site.html)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        os.chdir(here)
        for name in (b"fifo", b"socket"):
            with pytest.raises(Special):
                site.root.lstat(RelPath(name))
    with pytest.raises(Special):
        site.root.kinds(ROOT)
    site.write("page")
    listing = site.root.listdir(ROOT)
    assert [b"fifo", b"socket"] == listing.special
    assert [b"page"] == [name for name, _ in listing.entries]


def test_a_listing_tells_what_each_name_is(site: Site) -> None:
    site.write("d/page")
    (site.html / "d" / "below").mkdir()
    (site.html / "d" / "link").symlink_to("below")
    kinds = {b"page": Kind.FILE, b"below": Kind.DIR, b"link": Kind.SYMLINK}
    assert kinds == dict(site.root.kinds(RelPath(b"d")))
    with pytest.raises(Missing):
        site.root.kinds(RelPath(b"nowhere"))
