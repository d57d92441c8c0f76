"""Content lands by one rename, gives its own stat back, and never runs over what a local writer did."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.core.entry import Kind, Stat
from sidecar.core.paths import RelPath
from sidecar.fs import apply, stage, syscalls
from sidecar.fs.apply import Exchanged
from sidecar.fs.faults import Missing, NotEmpty, Occupied, Surprise, Unstaged
from sidecar.fs.stage import Staged
from sidecar.fs.syscalls import RENAME_EXCHANGE
from tests.unit.fs.conftest import Site

WHEN = 1_600_000_000_123_456_789


def staged(site: Site, data: str = "new") -> Staged:
    return stage.stage_file(site.root, site.deliver("ams/n.1/f", data))


def here(site: Site, path: bytes) -> Stat:
    stat = site.root.lstat(RelPath(path))
    assert stat is not None
    return stat


def exchanged(site: Site, path: RelPath, data: str = "new") -> tuple[Staged, Exchanged]:
    content = staged(site, data)
    return content, apply.exchange(site.root, content, path, here(site, path), 0o644, WHEN)


def just_before(monkeypatch: pytest.MonkeyPatch, meddle: Callable[[], object]) -> None:
    """A local writer gets between the look and the rename, once."""
    real = syscalls.renameat2
    meddled: list[bool] = []

    def renameat2(from_fd: int, old: bytes, to_fd: int, new: bytes, flags: int) -> None:
        if not meddled:
            meddled.append(True)
            meddle()
        real(from_fd, old, to_fd, new, flags)

    monkeypatch.setattr(syscalls, "renameat2", renameat2)


def test_a_new_file_appears_with_its_mode_and_mtime(site: Site) -> None:
    site.write("a/other")
    stat = apply.place(site.root, staged(site), RelPath(b"a/f"), 0o640, WHEN)
    assert "new" == site.read("a/f")
    assert (0o640, WHEN) == (stat.mode, stat.mtime_ns)
    assert stat == here(site, b"a/f")


def test_a_new_file_does_not_replace_one_that_came_first(site: Site) -> None:
    path = site.write("f", "local")
    content = staged(site)
    with pytest.raises(Occupied):
        apply.place(site.root, content, path, 0o644, WHEN)
    assert "local" == site.read("f")
    assert here(site, b"f") is not None
    assert apply.exchange(site.root, content, path, here(site, b"f"), 0o644, WHEN).placed.mtime_ns == WHEN


def test_a_new_file_is_not_placed_through_a_symlink(site: Site, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (site.html / "d").symlink_to(tmp_path / "outside")
    with pytest.raises(Missing):
        apply.place(site.root, staged(site), RelPath(b"d/f"), 0o644, WHEN)
    assert [] == os.listdir(tmp_path / "outside")


def test_a_missing_directory_is_told_from_missing_content(site: Site) -> None:
    content = staged(site)
    with pytest.raises(Missing):
        apply.place(site.root, content, RelPath(b"no/f"), 0o644, WHEN)
    stage.drop(site.root.inbox, content.name)
    with pytest.raises(Unstaged):
        apply.place(site.root, content, RelPath(b"f"), 0o644, WHEN)


def test_staged_content_that_was_swapped_is_not_placed(site: Site) -> None:
    content = staged(site)
    os.rename(site.state / "inbox/ams/n.1/f", site.state / "inbox/ams/n.1/g")
    site.deliver("ams/n.1/f", "other")
    with pytest.raises(Unstaged):
        apply.place(site.root, content, RelPath(b"f"), 0o644, WHEN)
    assert [] == os.listdir(site.html)


def test_staged_content_is_not_found_through_a_symlink(site: Site) -> None:
    site.deliver("ams/n.1/d/f")
    (site.state / "inbox/ams/n.2").symlink_to("n.1")
    (site.state / "inbox/ams/n.1/link").symlink_to("d/f")
    for name in (b"ams/n.2/d/f", b"ams/n.1/link", b"ams/n.1/d", b"ams/n.1/none"):
        with pytest.raises(Unstaged):
            stage.stage_file(site.root, RelPath(name))


def test_the_stat_is_that_of_the_placed_file_though_a_writer_replaces_it_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = syscalls.renameat2

    def renameat2(from_fd: int, old: bytes, to_fd: int, new: bytes, flags: int) -> None:
        real(from_fd, old, to_fd, new, flags)
        os.rename(site.html / "mine", site.html / "f")

    site.write("mine", "a longer local text")
    content = staged(site)
    monkeypatch.setattr(syscalls, "renameat2", renameat2)
    stat = apply.place(site.root, content, RelPath(b"f"), 0o644, WHEN)
    assert (content.stat.ino, 3, WHEN) == (stat.ino, stat.size, stat.mtime_ns)
    assert "a longer local text" == site.read("f")


def test_an_exchange_shows_the_new_and_hands_out_the_old(site: Site) -> None:
    path = site.write("a/f", "old")
    before = here(site, path)
    content, done = exchanged(site, path)
    assert "new" == site.read("a/f")
    assert here(site, path) == done.placed
    assert done.out.was(before)
    assert b"old" == site.root.inbox.read(content.name)


@pytest.mark.parametrize("change", ["bytes", "mtime", "mode", "inode", "kind", "ctime"])
def test_an_exchange_does_not_happen_when_something_else_lies_there(site: Site, change: str) -> None:
    path = site.write("f", "old")
    before, file = here(site, path), site.html / "f"
    if change == "bytes":
        file.write_text("local edit")
    elif change == "mtime":
        os.utime(file, ns=(1, 1))
    elif change == "mode":
        file.chmod(0o600)
    elif change == "ctime":
        os.link(file, site.html / "link")
        os.unlink(site.html / "link")
    else:
        file.unlink()
        file.symlink_to("x") if change == "kind" else file.write_text("old")
    if change == "inode":
        os.utime(file, ns=(before.mtime_ns, before.mtime_ns))
    with pytest.raises(Surprise) as caught:
        apply.exchange(site.root, staged(site), path, before, 0o644, WHEN)
    assert here(site, path) == caught.value.stat


def test_an_exchange_with_nothing_is_a_surprise(site: Site) -> None:
    path = site.write("f")
    before = here(site, path)
    (site.html / "f").unlink()
    with pytest.raises(Surprise) as caught:
        apply.exchange(site.root, staged(site), path, before, 0o644, WHEN)
    assert caught.value.stat is None


def test_what_a_writer_replaced_just_before_the_exchange_comes_out_and_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.write("f", "old")
    before, content = here(site, path), staged(site)
    site.write("edit", "local edit")
    just_before(monkeypatch, lambda: os.rename(site.html / "edit", site.html / "f"))
    done = apply.exchange(site.root, content, path, before, 0o644, WHEN)
    assert not done.out.was(before)
    back = apply.undo_exchange(site.root, content, path, done.placed)
    assert "local edit" == site.read("f")
    assert back == here(site, path)
    assert b"new" == site.root.inbox.read(content.name)


def test_what_was_written_in_place_just_before_the_exchange_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.write("f", "old")
    before, content = here(site, path), staged(site)
    just_before(monkeypatch, lambda: (site.html / "f").write_text("edit"))
    done = apply.exchange(site.root, content, path, before, 0o644, WHEN)
    assert not done.out.was(before)


def test_what_comes_out_while_a_writer_has_it_open_is_still_open(site: Site) -> None:
    path = site.write("f", "old")
    before = here(site, path)
    with open(site.html / "f", "a"):
        content, done = exchanged(site, path)
    assert done.out.still_open is True and not done.out.was(before)
    assert b"old" == site.root.inbox.read(content.name)


def test_an_exchange_is_not_undone_over_a_later_local_write(site: Site) -> None:
    path = site.write("f", "old")
    content, done = exchanged(site, path)
    site.write("edit", "later edit")
    os.rename(site.html / "edit", site.html / "f")
    with pytest.raises(Surprise):
        apply.undo_exchange(site.root, content, path, done.placed)
    assert "later edit" == site.read("f")


def test_a_local_write_in_the_middle_of_an_undo_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site.write("f", "old")
    content, done = exchanged(site, path)
    site.write("edit", "later edit")
    just_before(monkeypatch, lambda: os.rename(site.html / "edit", site.html / "f"))
    with pytest.raises(Surprise):
        apply.undo_exchange(site.root, content, path, done.placed)
    assert "later edit" == site.read("f")
    assert b"old" == site.root.inbox.read(content.name)


def test_a_fifo_that_comes_out_is_handed_out_as_unknown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site.write("f", "old")
    before, content = here(site, path), staged(site)
    os.mkfifo(site.html / "fifo")
    just_before(monkeypatch, lambda: os.rename(site.html / "fifo", site.html / "f"))
    done = apply.exchange(site.root, content, path, before, 0o644, WHEN)
    assert done.out.stat is None and not done.out.was(before)
    assert apply.undo_exchange(site.root, content, path, done.placed) is None


def test_a_file_becomes_a_symlink_in_one_step(site: Site) -> None:
    path = site.write("f", "old")
    link = stage.stage_symlink(site.root, b"elsewhere")
    done = apply.exchange(site.root, link, path, here(site, path), 0, WHEN)
    assert (Kind.SYMLINK, b"elsewhere", WHEN) == (done.placed.kind, done.placed.target, done.placed.mtime_ns)
    assert done.placed == here(site, path)
    assert b"old" == site.root.inbox.read(done.out.name)


def test_a_symlink_is_swapped_and_its_old_target_is_untouched(site: Site) -> None:
    site.write("releases/1/page", "one")
    current = RelPath(b"current")
    first = apply.place(site.root, stage.stage_symlink(site.root, b"releases/1"), current, 0, WHEN)
    assert "one" == site.read("current/page")
    site.write("releases/2/page", "two")
    second = apply.exchange(site.root, stage.stage_symlink(site.root, b"releases/2"), current, first, 0, WHEN + 1)
    assert "two" == site.read("current/page")
    assert second.out.was(first)


def test_a_full_directory_becomes_a_file_and_comes_out_whole(site: Site) -> None:
    site.write("d/x/one", "1")
    site.write("d/two", "2")
    path = RelPath(b"d")
    before = here(site, path)
    content, done = exchanged(site, path)
    assert "new" == site.read("d")
    assert done.out.was(before)
    assert b"1" == site.root.inbox.read(RelPath(content.name + b"/x/one"))


def test_a_symlink_becomes_a_filled_directory_in_one_step(site: Site) -> None:
    (site.html / "current").symlink_to("releases/1")
    path = RelPath(b"current")
    before, tree = here(site, path), stage.stage_dir(site.root)
    apply.make_dir(site.root, RelPath(b"css"), 0o755, within=tree)
    stat = apply.place(site.root, staged(site), RelPath(b"css/site.css"), 0o644, WHEN, within=tree)
    done = apply.exchange(site.root, tree, path, before, 0o755, 0)
    assert "new" == site.read("current/css/site.css")
    assert stat == here(site, b"current/css/site.css")
    assert (Kind.DIR, 0o755) == (done.placed.kind, done.placed.mode)
    assert done.out.was(before)


def test_a_directory_is_made_with_any_mode(site: Site) -> None:
    for mode in (0o755, 0o2775, 0o700):
        path = RelPath(b"d%o" % mode)
        stat = apply.make_dir(site.root, path, mode)
        assert (Kind.DIR, mode) == (stat.kind, stat.mode)
        assert stat == here(site, path)


def test_a_directory_that_is_there_is_left_as_it_is(site: Site) -> None:
    site.write("d/f")
    before = here(site, b"d")
    assert before == apply.make_dir(site.root, RelPath(b"d"), 0o700)


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_a_directory_is_not_made_over_something_else(site: Site, kind: str) -> None:
    (site.html / "real").mkdir()
    (site.html / "d").write_text("f") if kind == "file" else (site.html / "d").symlink_to("real")
    with pytest.raises(Occupied):
        apply.make_dir(site.root, RelPath(b"d"), 0o755)


def test_only_an_empty_directory_is_removed(site: Site) -> None:
    site.write("d/f")
    with pytest.raises(NotEmpty):
        apply.remove_dir(site.root, RelPath(b"d"))
    (site.html / "d/f").unlink()
    apply.remove_dir(site.root, RelPath(b"d"))
    with pytest.raises(Missing):
        apply.remove_dir(site.root, RelPath(b"d"))


def test_mode_and_mtime_change_in_place(site: Site) -> None:
    path = site.write("f", "data")
    before = here(site, path)
    stat = apply.adjust(site.root, path, before, mode=0o600, mtime_ns=WHEN)
    assert (before.ino, 0o600, WHEN) == (stat.ino, stat.mode, stat.mtime_ns)
    assert stat == here(site, path)
    with pytest.raises(Surprise):
        apply.adjust(site.root, path, before, mode=0o644)
    assert 0o600 == here(site, path).mode


def test_the_mtime_of_a_symlink_changes_and_not_that_of_its_target(site: Site) -> None:
    target = site.write("f")
    before = here(site, target)
    (site.html / "link").symlink_to("f")
    stat = apply.adjust(site.root, RelPath(b"link"), here(site, b"link"), mode=0o600, mtime_ns=WHEN)
    assert WHEN == stat.mtime_ns
    assert before == here(site, target)


def test_a_rename_moves_the_same_inode(site: Site) -> None:
    old = site.write("a/f", "data")
    (site.html / "b").mkdir()
    before = here(site, old)
    stat = apply.move(site.root, old, RelPath(b"b/g"), before)
    assert before.ino == stat.ino and stat == here(site, b"b/g")
    assert site.root.lstat(old) is None


def test_a_rename_does_not_run_over_anything(site: Site) -> None:
    old, new = site.write("f", "one"), site.write("g", "two")
    with pytest.raises(Occupied):
        apply.move(site.root, old, new, here(site, old))
    with pytest.raises(Missing):
        apply.move(site.root, old, RelPath(b"no/g"), here(site, old))
    assert ("one", "two") == (site.read("f"), site.read("g"))


def test_a_file_replaced_just_before_its_rename_stays_where_it_was(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    old = site.write("f", "old")
    before = here(site, old)
    site.write("edit", "local edit")
    just_before(monkeypatch, lambda: os.rename(site.html / "edit", site.html / "f"))
    with pytest.raises(Surprise):
        apply.move(site.root, old, RelPath(b"g"), before)
    assert "local edit" == site.read("f")
    assert site.root.lstat(RelPath(b"g")) is None


def test_two_files_change_places(site: Site) -> None:
    one, two = site.write("one", "1"), site.write("d/two", "2")
    stats = here(site, one), here(site, two)
    at_one, at_two = apply.swap(site.root, one, stats[0], two, stats[1])
    assert ("2", "1") == (site.read("one"), site.read("d/two"))
    assert (here(site, one), here(site, two)) == (at_one, at_two)


def test_a_swap_with_a_file_replaced_in_between_is_taken_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = site.write("one", "1"), site.write("two", "2")
    stats = here(site, one), here(site, two)
    site.write("edit", "local edit")
    just_before(monkeypatch, lambda: os.rename(site.html / "edit", site.html / "two"))
    with pytest.raises(Surprise):
        apply.swap(site.root, one, stats[0], two, stats[1])
    assert ("1", "local edit") == (site.read("one"), site.read("two"))


def test_a_visitor_meets_only_whole_versions(site: Site) -> None:
    path = site.write("f", "a" * 5000)
    stat, seen = here(site, path), set()
    for letter in "bcdefgh":
        with open(site.html / "f") as reader:
            content = staged(site, letter * 5000)
            done = apply.exchange(site.root, content, path, stat, 0o644, WHEN)
            stat = done.placed
            seen.add(reader.read())
        seen.add(site.read("f"))
        stage.drop(site.root.inbox, content.name)
    assert {letter * 5000 for letter in "abcdefgh"} == seen


def test_no_descriptor_is_left_open_by_any_step(site: Site) -> None:
    path = site.write("a/f", "old")
    before = len(os.listdir("/proc/self/fd"))
    content, done = exchanged(site, path)
    apply.undo_exchange(site.root, content, path, done.placed)
    apply.make_dir(site.root, RelPath(b"a/d"), 0o755)
    apply.remove_dir(site.root, RelPath(b"a/d"))
    with pytest.raises(Surprise):
        apply.exchange(site.root, content, path, done.placed, 0o644, WHEN)
    apply.move(site.root, path, RelPath(b"a/g"), here(site, path))
    apply.place(site.root, content, path, 0o644, WHEN)
    assert before == len(os.listdir("/proc/self/fd"))


def test_the_exchange_is_one_renameat2(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = syscalls.renameat2

    def renameat2(from_fd: int, old: bytes, to_fd: int, new: bytes, flags: int) -> None:
        calls.append(flags)
        real(from_fd, old, to_fd, new, flags)

    path = site.write("f", "old")
    monkeypatch.setattr(syscalls, "renameat2", renameat2)
    exchanged(site, path)
    assert [RENAME_EXCHANGE] == calls
