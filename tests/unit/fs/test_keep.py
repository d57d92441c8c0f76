"""What leaves the web root is kept whole: in the trash, or among the conflicts under the hash of its bytes."""

import os

import pytest

from sidecar.core.entry import Stat
from sidecar.core.paths import RelPath
from sidecar.fs import keep, stage, syscalls
from sidecar.fs.faults import Missing, Occupied, Surprise
from tests.unit.fs.conftest import Site


def here(site: Site, path: bytes) -> Stat:
    stat = site.root.lstat(RelPath(path))
    assert stat is not None
    return stat


def test_a_deleted_file_lies_in_the_trash_as_it_was(site: Site) -> None:
    path = site.write("a/f", "old", 0o640)
    before = here(site, path)
    out = keep.to_trash(site.root, path, RelPath(b"day/hour/f"), before)
    assert out.was(before) and b"day/hour/f" == out.name
    assert site.root.lstat(path) is None
    assert b"old" == site.root.trash.read(out.name)


def test_a_deleted_directory_goes_with_all_that_is_in_it(site: Site) -> None:
    site.write("d/x/f", "deep")
    before = here(site, b"d")
    out = keep.to_trash(site.root, RelPath(b"d"), RelPath(b"gone"), before)
    assert out.was(before)
    assert b"deep" == site.root.trash.read(RelPath(b"gone/x/f"))


def test_an_edited_file_is_not_deleted(site: Site) -> None:
    path = site.write("f", "old")
    before = here(site, path)
    site.write("f", "local edit")
    with pytest.raises(Surprise):
        keep.to_trash(site.root, path, RelPath(b"gone"), before)
    assert "local edit" == site.read("f")


def test_a_file_whose_times_were_set_back_is_not_deleted(site: Site) -> None:
    path = site.write("f", "old")
    before = here(site, path)
    site.write("f", "new")
    os.utime(site.html / "f", ns=(before.mtime_ns, before.mtime_ns))
    with pytest.raises(Surprise):
        keep.to_trash(site.root, path, RelPath(b"gone"), before)
    assert "new" == site.read("f")


def test_what_was_edited_just_before_the_delete_is_told_and_put_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.write("f", "old")
    before = here(site, path)
    real = syscalls.renameat2

    def renameat2(from_fd: int, old: bytes, to_fd: int, new: bytes, flags: int) -> None:
        (site.html / "f").write_text("local edit")
        real(from_fd, old, to_fd, new, flags)

    monkeypatch.setattr(syscalls, "renameat2", renameat2)
    out = keep.to_trash(site.root, path, RelPath(b"gone"), before)
    monkeypatch.undo()
    assert not out.was(before)
    back = keep.put_back(site.root, out.name, path)
    assert "local edit" == site.read("f") and back == here(site, path)


def test_what_is_deleted_while_it_is_written_is_still_open(site: Site) -> None:
    path = site.write("f", "old")
    before = here(site, path)
    with open(site.html / "f", "a"):
        out = keep.to_trash(site.root, path, RelPath(b"gone"), before)
    assert out.still_open is True and not out.was(before)


def test_the_trash_is_never_overwritten(site: Site) -> None:
    one, two = site.write("one", "1"), site.write("two", "2")
    keep.to_trash(site.root, one, RelPath(b"same"), here(site, one))
    with pytest.raises(Occupied):
        keep.to_trash(site.root, two, RelPath(b"same"), here(site, two))
    assert (b"1", "2") == (site.root.trash.read(RelPath(b"same")), site.read("two"))


def test_nothing_is_put_back_over_a_newer_file(site: Site) -> None:
    path = site.write("f", "old")
    keep.to_trash(site.root, path, RelPath(b"gone"), here(site, path))
    site.write("f", "newer")
    with pytest.raises(Occupied):
        keep.put_back(site.root, RelPath(b"gone"), path)
    assert "newer" == site.read("f")
    with pytest.raises(Missing):
        keep.put_back(site.root, RelPath(b"never"), RelPath(b"g"))


def test_what_an_exchange_took_out_goes_to_the_trash(site: Site) -> None:
    name = site.deliver("ams/n.1/f", "came out")
    keep.out_to_trash(site.root, name, RelPath(b"hour/f"))
    assert b"came out" == site.root.trash.read(RelPath(b"hour/f"))
    with pytest.raises(Missing):
        keep.out_to_trash(site.root, name, RelPath(b"hour/g"))


def test_a_loser_is_kept_once_under_the_hash_of_its_bytes(site: Site) -> None:
    one, two = (stage.stage_file(site.root, site.deliver(name, "loser")) for name in ("ams/n.1/f", "ams/n.1/g"))
    kept = keep.to_conflicts(site.root, site.root.inbox, one.name, one.hash)
    assert one.hash.hex().encode() == kept
    assert kept == keep.to_conflicts(site.root, site.root.inbox, two.name, two.hash)
    assert b"loser" == site.root.conflicts.read(kept)
    assert [kept] == [name for name, _ in site.root.conflicts.listdir(RelPath(b"")).entries]
    stat = site.root.conflicts.lstat(kept)
    assert stat is not None and 0o600 == stat.mode
    assert [] == os.listdir(site.state / "inbox/ams/n.1")


def test_a_torn_copy_of_a_loser_is_replaced(site: Site) -> None:
    staged = stage.stage_file(site.root, site.deliver("ams/n.1/f", "loser"))
    (site.state / "conflicts" / staged.hash.hex()).write_text("")
    assert not keep.has_conflict(site.root, staged.hash, staged.stat.size)
    keep.to_conflicts(site.root, site.root.inbox, staged.name, staged.hash)
    assert keep.has_conflict(site.root, staged.hash, staged.stat.size)


def test_a_loser_with_another_hard_link_is_copied(site: Site) -> None:
    path = site.write("f", "linked", 0o644)
    os.link(site.html / "f", site.html / "other")
    digest = site.root.hash(path)[1]
    out = keep.to_trash(site.root, path, RelPath(b"gone"), here(site, path))
    kept = keep.to_conflicts(site.root, site.root.trash, out.name, digest)
    with open(site.html / "other", "a") as file:
        file.write(" and edited in place")
    assert b"linked" == site.root.conflicts.read(kept)
    assert 0o644 == here(site, b"other").mode
    assert site.root.trash.lstat(out.name) is None


def test_a_loser_that_nobody_lists_any_more_goes_to_the_trash(site: Site) -> None:
    staged = stage.stage_file(site.root, site.deliver("ams/n.1/f", "loser"))
    keep.to_conflicts(site.root, site.root.inbox, staged.name, staged.hash)
    keep.conflict_to_trash(site.root, staged.hash, RelPath(b"hour/f"))
    assert b"loser" == site.root.trash.read(RelPath(b"hour/f"))
    assert not keep.has_conflict(site.root, staged.hash, 5)
