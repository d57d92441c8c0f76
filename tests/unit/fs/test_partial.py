"""What has arrived of a large file: taken over from the inbox, completed from the web root, found again, dropped."""

import errno
import os
from types import SimpleNamespace

import pytest

from sidecar.core.paths import RelPath
from sidecar.fs import partial, stage
from sidecar.fs.faults import Missing, NoSpace, Unstaged
from sidecar.fs.partial import Note
from tests.unit.fs.conftest import Site

PATH = RelPath(b"uploads/video")
LONG = RelPath(b"/".join([b"n" * 200] * 20 + [b"n" * 70]))
NAME = partial.name_of(PATH)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "LEAST", 4)


def begun(site: Site, data: str) -> None:
    site.deliver("ams/ams.1/uploads/.video.AbC123", data)
    partial.rescue(site.root, "ams", Note("ams.1", b"", PATH))


def lies(site: Site) -> bytes:
    return (site.state / "partial/ams" / NAME / "video").read_bytes()


@pytest.mark.parametrize("note", [Note("ams.1", b"", PATH), Note("a-0.ff", b"\0\xff" * 8, RelPath(b"a/b\n\xff c"))])
def test_what_is_noted_is_read_again_the_last_of_it(site: Site, note: Note) -> None:
    assert partial.noted(site.root, "ams", NAME) is None
    assert partial.note(site.root, "ams", NAME, Note("ams.0", b"", PATH))
    assert partial.note(site.root, "ams", NAME, note)
    assert note == partial.noted(site.root, "ams", NAME)


def test_a_path_that_is_too_long_to_be_noted_is_not(site: Site) -> None:
    assert not partial.note(site.root, "ams", NAME, Note("ams.1", b"", LONG))
    assert partial.noted(site.root, "ams", NAME) is None


def test_what_was_noted_stays_where_there_is_no_room_for_another(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has no note would never go, on a disk that is full."""
    note = Note("ams.1", b"", PATH)
    assert partial.note(site.root, "ams", NAME, note)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "symlink", full)
        with pytest.raises(NoSpace):
            partial.note(site.root, "ams", NAME, Note("ams.2", b"", PATH))
    assert [note] == [one.note for one in partial.kept(site.root)]


@pytest.mark.parametrize("left", ["video", ".video.AbC123", ".vid.AbC123"])
def test_what_a_batch_has_left_is_taken_over(site: Site, left: str) -> None:
    """Whole, as its rsync wrote it, and of a name that rsync has cut short."""
    site.deliver(f"ams/ams.1/uploads/{left}", "12345")
    partial.rescue(site.root, "ams", Note("ams.1", b"", PATH))
    assert b"12345" == lies(site) and 5 == partial.size_of(site.root, "ams", PATH)
    assert [] == os.listdir(site.state / "inbox/ams/ams.1/uploads")


@pytest.mark.parametrize("left", ["other", ".other.AbC123", "video2", ".video", "a/video"])
def test_what_is_of_another_file_is_not(site: Site, left: str) -> None:
    site.deliver(f"ams/ams.1/uploads/{left}", "12345")
    partial.rescue(site.root, "ams", Note("ams.1", b"", PATH))
    partial.rescue(site.root, "ams", Note("ams.2", b"", PATH))
    assert 0 == partial.size_of(site.root, "ams", PATH)


def test_the_most_of_it_is_taken_and_too_little_is_not(site: Site) -> None:
    begun(site, "123")
    assert 0 == partial.size_of(site.root, "ams", PATH)
    site.deliver("ams/ams.1/uploads/.video.xxxxxx", "1234567")
    begun(site, "12345")
    assert b"1234567" == lies(site)


@pytest.mark.parametrize(
    ("old", "size", "completed"),
    [
        ("abcdefghij", 10, b"NEWNEfghij"),
        ("abcdefghij", 7, b"NEWNEfghij"),
        ("abcdefghij", 12, b"NEWNEdefghij"),
        ("abcdefghij", 17, b"NEWNE\0\0abcdefghij"),
        ("abc", 5, b"NEWNE"),
        ("abc", 10, b"NEWNE\0\0abc"),
        ("", 10, b"NEWNE"),
    ],
)
def test_what_has_not_come_is_filled_in_where_the_new_file_has_it(
    site: Site, old: str, size: int, completed: bytes
) -> None:
    """Behind what makes it longer, if that is what came."""
    site.write("uploads/video", old)
    begun(site, "NEWNE")
    for _ in range(2):
        assert partial.complete(site.root, "ams", PATH, size, 9.0)
        assert completed == lies(site)
    assert old == site.read("uploads/video")


def test_filling_in_goes_on_where_it_was_interrupted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "_STEP", 2)
    site.write("uploads/video", "abcdefghij")
    begun(site, "NEWNE")
    assert partial.complete(site.root, "ams", PATH, 12, 0.0) and b"NEWNE" == lies(site)
    monkeypatch.setattr(partial, "time", SimpleNamespace(monotonic=iter([0.0, 0.0, 2.0]).__next__))
    assert partial.complete(site.root, "ams", PATH, 12, 1.0) and b"NEWNEde" == lies(site)
    monkeypatch.undo()
    assert partial.complete(site.root, "ams", PATH, 12, 9.0) and b"NEWNEdefghij" == lies(site)


def test_a_new_file_is_not_filled_in_and_what_is_not_there_is_missing(site: Site) -> None:
    with pytest.raises(Missing):
        partial.complete(site.root, "ams", PATH, 10, 9.0)
    begun(site, "NEWNE")
    assert partial.complete(site.root, "ams", PATH, 10, 9.0)
    assert b"NEWNE" == lies(site)
    (site.html / "uploads").symlink_to("/etc")
    assert partial.complete(site.root, "ams", PATH, 10, 9.0)
    assert b"NEWNE" == lies(site)


def test_what_somebody_still_writes_to_is_of_no_use(site: Site) -> None:
    begun(site, "NEWNE")
    with (site.state / "partial/ams" / NAME / "video").open("r+"):
        assert not partial.complete(site.root, "ams", PATH, 10, 9.0)
    assert partial.complete(site.root, "ams", PATH, 10, 9.0)


def test_a_staged_file_that_is_open_for_writing_does_not_count(site: Site) -> None:
    """An rsync that has not noticed that its connection is gone writes in place to what another one has finished."""
    name = site.deliver("ams/ams.1/video", "whole")
    with (site.state / "inbox" / os.fsdecode(name)).open("r+"), pytest.raises(Unstaged):
        stage.stage_file(site.root, name)
    assert 5 == stage.stage_file(site.root, name).stat.size


def test_all_of_them_are_found_and_go(site: Site) -> None:
    (site.state / "partial/stray").write_text("nobody's")
    note = Note("ams.1", b"\1" * 16, PATH)
    begun(site, "12345")
    partial.note(site.root, "ams", NAME, note)
    os.utime(site.state / "partial/ams" / NAME / "video", (5e9, 5e9))
    partial.note(site.root, "spb", "00", Note("spb.1", b"", RelPath(b"x")))
    found = {one.region: one for one in partial.kept(site.root)}
    assert (note, NAME, 5e9) == (found["ams"].note, found["ams"].name, found["ams"].at)
    assert found["spb"].at < 5e9
    for one in found.values():
        partial.discard(site.root, one.region, one.name)
    assert [] == list(partial.kept(site.root))
    assert [] == os.listdir(site.state / "partial/ams")
