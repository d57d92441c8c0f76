"""Two whole sidecars: what is written in one web root is in the other, and nothing else happens."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.core.retry import BUSY_RETRY
from tests.node.sidecars import Regions, Sidecar, regions
from tests.support.asking import wait_for


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        made.start()
        yield made


def sides(pair: Regions) -> tuple[Sidecar, Sidecar]:
    msk, ams = pair.all
    return msk, ams


NAMES = (
    b"plain.html",
    b"#hash",
    b";semicolon",
    b"-dash",
    b" space ",
    b"new\nline",
    b"tab\tquote\"'\\",
    b"invalid-\xff\xfe-utf8",
    "ünïcødé-страница".encode(),
    b"star*?[x]",
    b"n" * 255,
    b":colon",
    b"~home",
    b"$HOME`id`",
)


def test_names_of_any_bytes_arrive_both_ways(pair: Regions) -> None:
    for one in pair.all:
        for name in NAMES:
            path = os.path.join(os.fsencode(one.html), one.region.encode() + b"-" + name)[
                : len(os.fsencode(one.html)) + 256
            ]
            with open(path, "wb") as file:
                file.write(name * 3)
    tree = pair.wait_identical()
    assert len(NAMES) * 2 == len(tree)


def test_every_kind_of_thing_arrives(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "empty").touch()
    (msk.html / "dir" / "empty dir").mkdir(parents=True)
    (msk.html / "dir" / "file").write_bytes(os.urandom(100_000))
    (msk.html / "dir" / "private").write_text("x")
    (msk.html / "dir" / "private").chmod(0o600)
    (msk.html / "dir" / "script").write_text("#!/bin/sh")
    (msk.html / "dir" / "script").chmod(0o755)
    (msk.html / "link").symlink_to("dir/file")
    (msk.html / "dangling").symlink_to("nowhere")
    os.utime(msk.html / "dir" / "file", ns=(1, 1_000_000_007))
    (msk.html / "big").write_bytes(os.urandom(9 << 20))
    tree = pair.wait_identical()
    assert ("file", 0o644, 0) == tree["empty"][:3]
    assert 1_000_000_007 == tree["dir/file"][4]
    assert "symlink" == tree["dangling"][0]
    assert ams.metric("georoot_rows_written_total", origin="peer") >= len(tree)


def test_edits_deletes_and_changes_of_kind_arrive_both_ways(pair: Regions) -> None:
    msk, ams = sides(pair)
    for name in ("a", "b", "c", "d"):
        (msk.html / name).write_text(name)
    (msk.html / "tree" / "deep").mkdir(parents=True)
    (msk.html / "tree" / "deep" / "leaf").write_text("leaf")
    pair.wait_identical()
    (ams.html / "a").write_text("edited in ams")
    (msk.html / "b").unlink()
    (ams.html / "c").unlink()
    (ams.html / "c").mkdir()
    (ams.html / "c" / "inside").write_text("was a file")
    (msk.html / "d").unlink()
    (msk.html / "d").symlink_to("a")
    shutil.rmtree(ams.html / "tree")
    tree = pair.wait_identical()
    assert {"a", "c", "c/inside", "d"} == set(tree)
    shutil.rmtree(msk.html / "c")
    (msk.html / "c").write_text("a file again")
    assert "file" == pair.wait_identical()["c"][0]


def test_a_rename_moves_no_content(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "old").mkdir()
    for number in range(50):
        (msk.html / "old" / f"page-{number}").write_bytes(os.urandom(10_000))
    pair.wait_identical()
    sent = msk.metric("georoot_files_sent_total")
    inodes = {page.name: page.stat().st_ino for page in (ams.html / "old").iterdir()}
    (msk.html / "old").rename(msk.html / "new")
    tree = pair.wait_identical()
    assert "new/page-7" in tree and "old" not in tree
    assert inodes == {page.name: page.stat().st_ino for page in (ams.html / "new").iterdir()}, "copied, not renamed"
    assert 0 == ams.status()["store"]["trash"]
    (ams.html / "new" / "page-7").rename(ams.html / "page-7")
    (ams.html / "page-7").chmod(0o640)
    assert 0o640 == pair.wait_identical()["page-7"][1]
    assert sent == msk.metric("georoot_files_sent_total")
    assert 0 == ams.metric("georoot_files_sent_total")


def test_what_was_applied_is_not_sent_back(pair: Regions) -> None:
    msk, ams = sides(pair)
    for number in range(100):
        (msk.html / f"m{number}").write_text(str(number))
        (ams.html / f"a{number}").write_text(str(number))
    pair.wait_identical()
    (msk.html / "m1").unlink()
    (ams.html / "a1").rename(ams.html / "a1-renamed")
    pair.wait_identical()

    def counted() -> list[float]:
        names = ("georoot_rows_written_total", "georoot_files_sent_total", "georoot_entries_sent_total")
        return [one.metric(name) for one in pair.all for name in names]

    time.sleep(2.0)
    before = counted()
    time.sleep(3.0)
    assert before == counted()
    assert 100 == ams.metric("georoot_files_sent_total")
    assert 100 == msk.metric("georoot_files_sent_total")


def test_five_quick_writes_are_five_entries_at_most_and_only_what_was_torn_goes_again(pair: Regions) -> None:
    msk, ams = sides(pair)

    def sent() -> float:
        torn = msk.metric("georoot_entries_settled_total", outcome="torn")
        return msk.metric("georoot_entries_sent_total") - torn

    before = sent()
    for number in range(5):
        (msk.html / "page").write_text(str(number))
        time.sleep(0.1)
    pair.wait_identical()
    assert "4" == (ams.html / "page").read_text()
    assert 1 <= sent() - before <= 5


def test_a_reader_sees_whole_versions_only(pair: Regions) -> None:
    msk, ams = sides(pair)
    page, copy = msk.html / "page", ams.html / "page"
    page.write_text("0" * 50_000)
    pair.wait_identical()
    wrong: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                text = copy.read_text()
            except OSError as error:
                wrong.append(str(error))
                continue
            if len(text) != 50_000 or text.strip(text[0]):
                wrong.append(f"{len(text)} characters: {text[:3]}…{text[-3:]}")

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        page.write_text(str(number % 10) * 50_000)
    pair.wait_identical()
    done.set()
    reader.join()
    assert [] == wrong


def test_a_file_that_is_written_slowly_arrives_when_it_is_closed(pair: Regions) -> None:
    msk, ams = sides(pair)
    page = msk.html / "page"
    page.write_text("old")
    pair.wait_identical()
    with page.open("w") as file:
        for _ in range(10):
            file.write("new")
            file.flush()
            time.sleep(0.1)
            assert "old" == (ams.html / "page").read_text()
    pair.wait_identical()
    assert "new" * 10 == (ams.html / "page").read_text()


def test_edits_and_deletes_of_the_time_down_are_there_after_a_kill_of_both(pair: Regions) -> None:
    msk, ams = sides(pair)
    for number in range(60):
        (msk.html / f"m{number}").write_text("first")
        (ams.html / f"a{number}").write_text("first")
    pair.wait_identical()
    for one in pair.all:
        one.kill()
    (msk.html / "new in msk").write_text("x")
    (ams.html / "new in ams").write_text("x")
    (msk.html / "a1").write_text("edited in msk")
    (ams.html / "m1").write_text("edited in ams")
    (msk.html / "a2").unlink()
    (ams.html / "m2").unlink()
    (ams.html / "m3").rename(ams.html / "m3-renamed")
    pair.start()
    tree = pair.wait_identical()
    assert {"new in msk", "new in ams", "m3-renamed"} < set(tree)
    assert not {"a2", "m2", "m3"} & set(tree)
    assert "edited in msk" == (ams.html / "a1").read_text()
    assert "edited in ams" == (msk.html / "m1").read_text()
    assert [0, 0] == [one.status()["store"]["conflicts"] for one in pair.all]


def test_a_region_that_was_away_catches_up(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "gone").write_text("x")
    (msk.html / "stays").write_text("x")
    pair.wait_identical()
    assert 0 == ams.stop()
    (msk.html / "gone").unlink()
    for number in range(200):
        (msk.html / f"page-{number}").write_text(str(number))
    for round_ in range(5):
        (msk.html / "stays").write_text(f"edit {round_}")
    wait_for(lambda: msk.status()["peers"][0]["state"] != "up", "the link is down")
    assert msk.status()["ready"]
    ams.start()
    tree = pair.wait_identical()
    assert 201 == len(tree)
    assert "edit 4" == (ams.html / "stays").read_text()


def test_a_directory_that_was_deleted_goes_when_a_file_in_it_is_closed(pair: Regions) -> None:
    """Who has the file open writes nothing: neither the file nor its directory comes back."""
    msk, ams = sides(pair)
    (msk.html / "d" / "e").mkdir(parents=True)
    (msk.html / "d" / "e" / "log").write_text("x")
    pair.wait_identical()
    assert 0 == ams.stop()
    shutil.rmtree(msk.html / "d")
    (msk.html / "other").write_text("x")
    wait_for(lambda: msk.status()["peers"][0]["state"] != "up", "the link is down")
    with (ams.html / "d" / "e" / "log").open("ab"):
        ams.start()
        wait_for((ams.html / "other").exists, "the link is up again")
        time.sleep(2 * BUSY_RETRY)
        assert (ams.html / "d" / "e" / "log").exists()
    assert {"other"} == set(pair.wait_identical())


@pytest.mark.parametrize("round_", range(3))
def test_a_kill_while_batches_land_makes_no_change_of_its_own(pair: Regions, round_: int) -> None:
    msk, ams = sides(pair)
    for number in range(1500):
        (msk.html / f"page-{number}").write_bytes(os.urandom(1000))
    wait_for(lambda: len(os.listdir(ams.html)) > 200 * (round_ + 1), "some have landed")
    ams.kill()
    ams.start()
    tree = pair.wait_identical(60)
    assert 1500 == len(tree)
    assert 0 == ams.metric("georoot_rows_written_total", origin="local")
    assert 0 == msk.metric("georoot_rows_written_total", origin="peer")
    assert [0, 0] == [one.status()["store"]["conflicts"] for one in pair.all]


def test_the_same_path_edited_on_both_sides_ends_the_same_with_both_contents_kept(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "page").write_text("first")
    pair.wait_identical()
    for one in pair.all:
        one.kill()
    texts = {"from msk", "from ams"}
    (msk.html / "page").write_text("from msk")
    (ams.html / "page").write_text("from ams")
    pair.start()
    pair.wait_identical()
    wait_for(lambda: [1, 1] == [one.status()["store"]["conflicts"] for one in pair.all], "both list the conflict")
    for one in pair.all:
        kept = [path.read_text() for path in (one.state / "conflicts").iterdir()]
        assert texts == {(one.html / "page").read_text(), *kept}


def test_an_edit_beats_a_delete_of_the_other_side(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "dir").mkdir()
    (msk.html / "dir" / "page").write_text("first")
    pair.wait_identical()
    for one in pair.all:
        one.kill()
    shutil.rmtree(msk.html / "dir")
    (ams.html / "dir" / "page").write_text("edited")
    pair.start()
    assert "dir/page" in pair.wait_identical()


def test_two_sites_that_meet_for_the_first_time_become_one(tmp_path: Path) -> None:
    with regions(tmp_path, "msk", "ams") as pair:
        msk, ams = sides(pair)
        for one in pair.all:
            (one.html / "sub").mkdir()
            (one.html / f"only-{one.region}").write_text(one.region)
            (one.html / "same").write_text("same")
            os.utime(one.html / "same", ns=(10**18, 10**18))
            (one.html / "sub" / "differs").write_text(f"from {one.region}")
        os.utime(msk.html / "sub" / "differs", ns=(10**18, 10**18))
        os.utime(ams.html / "sub" / "differs", ns=(10**18, 10**18 + 10**10))
        pair.start()
        tree = pair.wait_identical()
        assert {"only-msk", "only-ams", "same", "sub", "sub/differs"} == set(tree)
        assert "from ams" == (msk.html / "sub" / "differs").read_text()
        kept = [p.read_bytes() for p in msk.state.rglob("*") if p.is_file() and p.name[:5] != "index"]
        assert b"from msk" in kept


def test_a_region_that_starts_empty_deletes_nothing_at_the_other(tmp_path: Path) -> None:
    with regions(tmp_path, "msk", "ams") as pair:
        msk, ams = sides(pair)
        for number in range(50):
            (msk.html / f"page-{number}").write_text("x")
        pair.start()
        assert 50 == len(pair.wait_identical())
        ams.kill()
        shutil.rmtree(ams.volume)
        ams.html.mkdir(parents=True)
        ams.start()
        assert 50 == len(pair.wait_identical())


@pytest.mark.parametrize("more", [False, True], ids=["and is quiet", "and goes on to write"])
def test_a_volume_that_was_set_back_brings_nothing_old_over_something_new(pair: Regions, more: bool) -> None:
    msk, _ = sides(pair)
    for name in ("stays", "edited", "deleted"):
        (msk.html / name).write_text("first")
    pair.wait_identical()
    assert 0 == msk.stop()
    snapshot = msk.volume.with_name("snapshot")
    subprocess.run(("cp", "-a", msk.volume, snapshot), check=True)
    msk.start()
    pair.wait_settled()
    (msk.html / "edited").write_text("second")
    (msk.html / "deleted").unlink()
    (msk.html / "new").write_text("since the snapshot")
    pair.wait_identical()
    assert 0 == msk.stop()
    shutil.rmtree(msk.volume)
    snapshot.rename(msk.volume)
    if more:
        for number in range(20):
            (msk.html / f"after-{number}").write_text("written after it was set back")
    msk.start()
    tree = pair.wait_identical()
    assert {"stays", "edited", "new"} <= set(tree)
    assert "deleted" not in tree
    assert "second" == (msk.html / "edited").read_text()
    assert any("set back" in warning for warning in msk.status()["warnings"])
    (msk.html / "last").write_text("x")
    assert "last" in pair.wait_identical()


def test_three_regions_agree(tmp_path: Path) -> None:
    with regions(tmp_path, "msk", "ams", "fra") as three:
        three.start()
        for one in three.all:
            for number in range(20):
                (one.html / f"{one.region}-{number}").write_text(one.region)
        assert 60 == len(three.wait_identical())
        (three.all[2].html / "msk-1").unlink()
        assert 59 == len(three.wait_identical())


def test_a_stop_sends_what_is_pending(pair: Regions) -> None:
    msk, ams = sides(pair)
    for number in range(500):
        (msk.html / f"page-{number}").write_bytes(os.urandom(2000))
    assert 0 == msk.stop()
    assert 500 == len(ams.tree())


def test_a_stop_says_when_it_could_not_send_everything(pair: Regions) -> None:
    msk, ams = sides(pair)
    ams.kill()
    (msk.html / "page").write_text("x")
    assert 4 == msk.stop()


EDITORS = {
    "sed": "sed -i s/old/new/ page",
    "cat": "cat page.new >page",
    "mv": "cp page.new page.tmp && mv page.tmp page",
    "vim": "vim.tiny -u NONE -es -c '%s/old/new/' -c wq page </dev/null",
    "vim with backup": "vim.tiny -u NONE -es -c 'set backup writebackup' -c '%s/old/new/' -c wq page </dev/null",
}


@pytest.mark.parametrize("command", EDITORS.values(), ids=EDITORS.keys())
def test_a_save_arrives_and_nothing_of_the_editor_does(pair: Regions, command: str) -> None:
    msk, ams = sides(pair)
    (msk.html / "page").write_text("old\n")
    pair.wait_identical()
    (msk.volume / "page.new").write_text("new\n")
    subprocess.run(
        ("sh", "-c", command.replace("page.new", "../page.new")),
        cwd=msk.html,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(msk.volume)},
        check=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )
    wait_for(lambda: (ams.html / "page").read_text() == "new\n", "the save")
    time.sleep(0.5)
    assert [] == [name for name in os.listdir(ams.html) if name not in ("page", "page.tmp")]


def test_a_save_by_nano_arrives(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "page").write_text("old\n")
    pair.wait_identical()
    editor, screen = pty.fork()
    if not editor:
        os.chdir(msk.html)
        os.execve("/usr/bin/nano", ("nano", "page"), {"TERM": "xterm", "HOME": str(msk.volume)})  # noqa: S606 - into a terminal of its own
    try:
        typed = iter((b"new ", b"\x0f", b"\r", b"\x18"))  # text, write out, its name, exit
        for keys in typed:
            _drain(screen)
            os.write(screen, keys)
        wait_for(lambda: (ams.html / "page").read_text() == "new old\n", "the save")
    finally:
        with contextlib.suppress(OSError):
            os.kill(editor, signal.SIGKILL)
        os.waitpid(editor, 0)
        os.close(screen)
    assert ["page"] == os.listdir(ams.html)


def _drain(screen: int) -> None:
    """Read what the editor shows until it rests."""
    while select.select([screen], [], [], 0.3)[0]:
        os.read(screen, 65536)


def test_a_file_that_is_cut_by_its_name_arrives(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "page").write_text("0123456789")
    pair.wait_identical()
    os.truncate(msk.html / "page", 4)  # opens and closes nothing
    wait_for(lambda: (ams.html / "page").read_text() == "0123", "the cut")


def test_an_edit_that_restores_size_and_mtime_arrives(pair: Regions) -> None:
    msk, ams = sides(pair)
    page = msk.html / "page"
    page.write_text("first")
    pair.wait_identical()
    for text in ("other", "third", "fifth"):
        before = page.stat()
        page.write_text(text)
        os.utime(page, ns=(before.st_atime_ns, before.st_mtime_ns))
        wait_for(lambda text=text: (ams.html / "page").read_text() == text, text)  # type: ignore[misc]


def test_a_git_checkout_of_another_revision_arrives(pair: Regions) -> None:
    msk, _ = sides(pair)

    def git(*args: str) -> None:
        env = {"PATH": os.environ["PATH"], "HOME": str(msk.volume), "GIT_CONFIG_GLOBAL": "/dev/null"}
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
        subprocess.run(("git", *who, *args), cwd=msk.html, env=env, check=True, capture_output=True, timeout=20)

    git("init", ".")
    for revision in ("one", "two"):
        for number in range(40):
            (msk.html / f"page-{number}").write_text(f"{revision} {number}")
        (msk.html / revision).write_text("only here")
        git("add", ".")
        git("commit", "-m", revision)
        (msk.html / revision).unlink()
        git("rm", "-q", "--cached", revision)
    git("checkout", "-f", "HEAD~1")
    pair.wait_identical()
    git("checkout", "-f", "main")
    tree = pair.wait_identical()
    assert "two" in tree and "one" not in tree


def test_a_path_of_another_owner_is_reported_and_the_rest_goes_on(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "locked").mkdir()
    (msk.html / "locked" / "secret").write_text("x")
    pair.wait_identical()
    (msk.html / "unreadable").write_text("x")
    (msk.html / "unreadable").chmod(0o000)
    (msk.html / "after").write_text("x")
    wait_for((ams.html / "after").exists, "the rest goes on")
    wait_for(lambda: msk.status()["problem_count"] == 1, "it is reported")
    problem = msk.status()["problems"][0]
    assert "unreadable" == problem["path"] and problem["hint"]
    (msk.html / "unreadable").chmod(0o644)
    assert "unreadable" in pair.wait_identical()
    wait_for(lambda: msk.status()["problem_count"] == 0, "the report goes")


def test_a_directory_that_cannot_be_listed_is_told_and_loses_nothing(pair: Regions) -> None:
    msk, ams = sides(pair)
    shut = msk.html / "shut"
    (shut / "deep").mkdir(parents=True)
    for name in ("page", "deep/page", "deep/gone"):
        (shut / name).write_text(name)
    before = pair.wait_identical()
    # its mode is the same there, where it cannot be listed either
    shut.chmod(0o000)
    for one in (msk, ams):
        wait_for(lambda one=one: one.status()["problem_count"] == 1, "it is reported")  # type: ignore[misc]
        (problem,) = one.status()["problems"]
        assert "shut" == problem["path"] and "cannot be listed" in problem["why"] and "chmod" in problem["hint"]
        assert 1 == one.metric("georoot_problem_paths")
    for command in (("wait", "--timeout", "1s"), ("sync", "--once", "--timeout", "30s")):
        ran = msk.command(*command)
        assert 5 == ran.code and "shut" in ran.out + ran.err and "cannot be listed" in ran.out + ran.err
    (msk.html / "after").write_text("x")
    wait_for((ams.html / "after").exists, "the rest goes on")
    msk.stop()
    shut.chmod(0o755)
    (shut / "new").mkdir()
    (shut / "new" / "page").write_text("new")
    (shut / "deep" / "gone").unlink()
    shut.chmod(0o000)
    msk.start()
    wait_for(lambda: msk.settled and msk.status()["problem_count"] == 1, "a new run reports it too")
    shut.chmod(0o755)
    tree = pair.wait_identical()
    assert (before.keys() - {"shut/deep/gone"}) | {"shut/new", "shut/new/page", "after"} == tree.keys()
    wait_for(lambda: msk.status()["problem_count"] == ams.status()["problem_count"] == 0, "the report goes")
    assert 0 == msk.command("wait").code
    (shut / "new" / "late").write_text("told by an event again")
    assert "shut/new/late" in pair.wait_identical()


def test_a_frozen_peer_is_noticed_and_caught_up_with(pair: Regions) -> None:
    msk, ams = sides(pair)
    ams.send(signal.SIGSTOP)
    (msk.html / "page").write_text("x")
    wait_for(lambda: msk.status()["peers"][0]["lag"] > 0.5, "it falls behind")
    assert msk.status()["ready"]
    ams.send(signal.SIGCONT)
    pair.wait_identical(60)
