"""Two whole sidecars, and a person who asks them: conflicts, trash, restore, wait, pause, and what is held."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sidecar.cli import ask
from sidecar.engine.orders import Wait, Waited
from tests.node.sidecars import Ran, Regions, Sidecar, regions
from tests.support.asking import wait_for


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        made.start()
        yield made


@pytest.fixture
def unstarted(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        yield made


def sides(pair: Regions) -> tuple[Sidecar, Sidecar]:
    msk, ams = pair.all
    return msk, ams


def done(ran: Ran) -> Ran:
    assert (0, "") == (ran.code, ran.err)
    return ran


def listed(one: Sidecar) -> list[dict[str, Any]]:
    """The conflicts that it lists."""
    found: list[dict[str, Any]] = json.loads(done(one.command("conflicts", "--json")).out)["conflicts"]
    return found


def trashed(one: Sidecar, *path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done(one.command("trash", "--json", *path)).out)
    return found


def held(one: Sidecar) -> set[str]:
    return {hold["id"] for hold in one.status().get("holds", [])}


def wait_held(one: Sidecar, *expected: str) -> None:
    wait_for(lambda: one.status() and held(one) == set(expected), f"{one.region} holds {expected}")


def fill(one: Sidecar, count: int, text: str = "x") -> None:
    for number in range(count):
        (one.html / f"page-{number}").write_text(f"{text} {number}")


def texts(one: Sidecar) -> dict[str, str]:
    return {path.name: path.read_text() for path in one.html.iterdir()}


# -- conflicts


def quarrel(pair: Regions, *names: str) -> None:
    """Both sides write the same paths while neither hears of the other."""
    for name in names:
        (pair.all[0].html / name).write_text("first")
    pair.wait_identical()
    for one in pair.all:
        one.kill()
    for one in pair.all:
        for name in names:
            (one.html / name).write_text(f"from {one.region}")
    pair.start()
    pair.wait_identical()
    wait_for(lambda: all(one.status()["store"]["conflicts"] == len(names) for one in pair.all), "both list them")


@pytest.mark.parametrize("where", [0, 1])
def test_a_conflict_is_listed_everywhere_and_what_lost_can_be_shown_and_taken(pair: Regions, where: int) -> None:
    name = "a page-\udcff"
    quarrel(pair, name)
    taker = pair.all[where]
    shown = (taker.html / name).read_bytes()
    lists = [listed(one) for one in pair.all]
    assert lists[0] == lists[1]
    (conflict,) = lists[0]
    assert (name, len(shown)) == (conflict["path"], conflict["size"])
    assert "a page-\\udcff" in done(taker.command("conflicts")).out
    lost = done(taker.command("conflicts", "show", name, conflict["id"][:8])).out.encode()
    assert {f"from {one.region}".encode() for one in pair.all} == {shown, lost}
    ran = taker.command("conflicts", "take", name, "0" * 32)
    assert (1, 1) == (ran.code, ran.err.count("\n"))
    assert shown == (taker.html / name).read_bytes()
    done(taker.command("conflicts", "take", name))
    pair.wait_identical()
    assert [lost, lost] == [(one.html / name).read_bytes() for one in pair.all]
    wait_for(lambda: [[], []] == [listed(one) for one in pair.all], "no conflict is left")
    for one in pair.all:
        assert [] == os.listdir(one.state / "conflicts")
        kept = [path.read_bytes() for path in (one.state / "trash").rglob("*") if path.is_file()]
        assert shown in kept


def test_what_is_no_conflict_is_one_clear_line(pair: Regions) -> None:
    msk, _ = sides(pair)
    (msk.html / "page").write_text("x")
    pair.wait_identical()
    for command in ("show", "take"):
        for path in ("page", "nowhere", "../page"):
            ran = msk.command("conflicts", command, path)
            assert (1, "", 1) == (ran.code, ran.out, ran.err.count("\n"))
    assert "no conflicts\n" == done(msk.command("conflicts")).out


# -- trash and restore


def test_what_a_peer_overwrote_and_deleted_is_restored_everywhere(pair: Regions) -> None:
    msk, ams = sides(pair)
    for name in ("overwritten", "deleted"):
        (msk.html / name).write_text(f"{name}, first")
    os.utime(msk.html / "overwritten", ns=(10**18, 10**18))
    pair.wait_identical()
    (msk.html / "overwritten").write_text("by mistake")
    (msk.html / "deleted").unlink()
    pair.wait_identical()
    there = {(one["path"], one["reason"], one["peer"]) for one in trashed(ams)}
    assert {("overwritten", "replaced", "msk"), ("deleted", "deleted", "msk")} == there
    assert ["deleted"] == [one["path"] for one in trashed(ams, "deleted")]
    before = time.time()
    for name in ("overwritten", "deleted"):
        assert f"restored: {name}\n" == done(ams.command("restore", name)).out
    pair.wait_identical()
    expected = {name: f"{name}, first" for name in ("overwritten", "deleted")}
    assert [expected, expected] == [texts(one) for one in pair.all]
    assert before - 1 < (msk.html / "overwritten").stat().st_mtime
    assert ["by mistake", "overwritten"] == [
        next((ams.state / "trash" / one["id"]).read_text() if one["peer"] == "" else one["path"] for one in [item])
        for item in trashed(ams, "overwritten")
    ]


def test_a_deleted_directory_is_restored_with_what_lay_beneath(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "site" / "deep").mkdir(parents=True)
    (msk.html / "site" / "index").write_text("index")
    (msk.html / "site" / "deep" / "leaf").write_text("leaf")
    (msk.html / "site" / "link").symlink_to("deep/leaf")
    (msk.html / "site" / "empty" / "within").mkdir(parents=True)
    (msk.html / "site" / "deep").chmod(0o750)
    (msk.html / "site" / "empty").chmod(0o700)
    (msk.html / "other").write_text("other")
    before = pair.wait_identical()
    shutil.rmtree(msk.html / "site")
    assert {"other"} == set(pair.wait_identical())
    done(ams.command("restore", "site/"))
    after = pair.wait_identical()
    assert {path: one[:2] for path, one in before.items()} == {path: one[:2] for path, one in after.items()}
    assert "leaf" == (msk.html / "site" / "link").read_text()


def test_a_path_comes_back_as_it_was_at_a_time(pair: Regions) -> None:
    msk, ams = sides(pair)
    times = []
    for number in range(4):
        (msk.html / "page").write_text(f"version {number}")
        pair.wait_identical()
        times.append(time.time())
        time.sleep(0.05)
    done(ams.command("restore", "page", "--at", str(times[1])))
    pair.wait_identical()
    assert "version 1" == (msk.html / "page").read_text()


def test_all_that_a_peer_did_since_a_time_is_undone(pair: Regions) -> None:
    msk, ams = sides(pair)
    fill(msk, 20)
    (msk.html / "gone before").write_text("x")
    pair.wait_identical()
    (msk.html / "gone before").unlink()
    expected = pair.wait_identical()
    since = time.time()
    for number in range(20):
        if number % 2:
            (msk.html / f"page-{number}").unlink()
        else:
            (msk.html / f"page-{number}").write_text("defaced")
    pair.wait_identical()
    ran = done(ams.command("restore", "--since", str(since), "--peer", "msk"))
    assert 20 == ran.out.count("restored: ")
    tree = pair.wait_identical()
    assert set(expected) == set(tree)
    assert {f"page-{number}": f"x {number}" for number in range(20)} == texts(msk)
    ran = ams.command("restore", "--since", "1h", "--peer", "mars")
    assert (1, "sidecar: no such peer: mars; the peers are msk\n") == (ran.code, ran.err)


def test_what_cannot_be_restored_is_one_clear_line(pair: Regions) -> None:
    msk, ams = sides(pair)
    (msk.html / "page").write_text("x")
    pair.wait_identical()
    (msk.html / "page").unlink()
    pair.wait_identical()
    (ams.html / "page").mkdir()
    pair.wait_identical()
    elsewhere = "see `sidecar trash`, or ask a region where it was not deleted by hand"
    for path, problem in (
        ("page", "page: a directory lies there; move it away first"),
        ("nowhere", f"nowhere: nothing of it is in the trash; {elsewhere}"),
    ):
        ran = ams.command("restore", path)
        assert (1, "", f"sidecar: {problem}\n") == (ran.code, ran.out, ran.err)


# -- wait


def test_wait_returns_when_all_is_there(pair: Regions) -> None:
    msk, ams = sides(pair)
    fill(msk, 1000)
    asked = ask.post(str(msk.run_dir), "/api/wait", Wait(), 60)  # at once: a new process would come when all is done
    assert 1000 == len(os.listdir(ams.html))
    assert Waited(()) == msgspec.json.decode(asked, type=Waited)
    (msk.html / "page").write_text("last")
    done(msk.command("wait", "--timeout", "20s", "ams"))
    assert "last" == (ams.html / "page").read_text()


def test_wait_says_who_is_behind(pair: Regions) -> None:
    msk, ams = sides(pair)
    ams.kill()
    (msk.html / "page").write_text("x")
    began = time.monotonic()
    ran = msk.command("wait", "--timeout", "1s")
    assert (1, "") == (ran.code, ran.err)
    assert ran.out.startswith("not there yet: ams: ")
    assert time.monotonic() - began < 10
    assert 1 == msk.command("wait", "mars").code


# -- pause


def test_what_is_paused_neither_sends_nor_receives_until_it_is_resumed(pair: Regions) -> None:
    msk, ams = sides(pair)
    done(msk.command("pause"))
    assert msk.status()["paused"] and msk.status()["ready"]
    assert 1 == msk.metric("georoot_paused")
    assert "paused" in msk.command("status").out
    (msk.html / "from msk").write_text("x")
    (ams.html / "from ams").write_text("x")
    assert "it is paused here" in msk.command("wait", "--timeout", "1s").out
    assert 0 == msk.stop() or True
    msk.start()
    wait_for(lambda: msk.status().get("state") == "running", "it runs again")
    (msk.html / "later from msk").write_text("x")
    time.sleep(2.0)
    assert {"from msk", "later from msk"} == set(texts(msk))
    assert {"from ams"} == set(texts(ams))
    assert msk.status()["paused"]
    done(msk.command("resume"))
    assert {"from msk", "later from msk", "from ams"} == set(pair.wait_identical())
    assert not msk.status()["paused"]


# -- holds


def emptied(pair: Regions, count: int = 60) -> tuple[Sidecar, Sidecar, Path]:
    """The first starts again with an empty web root; both, and where the content went."""
    msk, ams = sides(pair)
    fill(msk, count)
    (msk.html / "dir").mkdir()
    (msk.html / "dir" / "leaf").write_text("leaf")
    pair.wait_identical()
    assert 0 == msk.stop()
    away = msk.volume / "away"
    msk.html.rename(away)
    msk.html.mkdir()
    msk.start()
    wait_held(msk, "scan")
    return msk, ams, away


def test_an_emptied_web_root_deletes_nothing_until_that_is_approved(pair: Regions) -> None:
    msk, ams, _ = emptied(pair)
    assert 62 == msk.metric("georoot_holds", hold="scan")
    assert 1 == msk.command("status", "--check").code
    said = done(msk.command("status")).out
    assert "62 paths, most of the web root, were gone at a scan" in said
    assert "sidecar approve scan" in said
    (ams.html / "page-1").write_text("edited in ams")
    (ams.html / "dir" / "leaf").write_text("edited in ams")
    (ams.html / "new in ams").write_text("x")
    (msk.html / "new in msk").write_text("x")
    wait_for((msk.html / "new in ams").exists, "everything else goes on")
    wait_for((ams.html / "new in msk").exists, "everything else goes on")
    msk.kill()
    msk.start()
    wait_held(msk, "scan")
    time.sleep(1.0)
    assert 63 == len(texts_of_files(ams)) and "edited in ams" == (ams.html / "page-1").read_text()
    assert (1, "") == (msk.command("approve", "changes").code, msk.command("approve", "changes").out)
    assert "approved: scan\n" == done(msk.command("approve", "scan")).out
    tree = pair.wait_identical()
    assert {"new in msk", "new in ams", "page-1", "dir", "dir/leaf"} >= set(tree) >= {"new in msk", "new in ams"}
    assert set() == held(msk)


def texts_of_files(one: Sidecar) -> dict[str, str]:
    return {str(path.relative_to(one.html)): path.read_text() for path in one.html.rglob("*") if path.is_file()}


def test_what_is_missing_comes_back_when_its_deletion_is_rejected(pair: Regions) -> None:
    msk, ams, _ = emptied(pair)
    expected = texts_of_files(ams)
    (ams.html / "page-1").write_text("edited in ams")
    (ams.html / "page-2").unlink()
    (msk.html / "page-3").write_text("new in msk")
    ran = msk.command("wait", "--timeout", "1s")
    assert 5 == ran.code and "are held as `scan`" in ran.out
    said = done(msk.command("reject", "scan")).out
    assert said.startswith("rejected: scan: ") and said.endswith(" paths to come back\n")
    pair.wait_identical()
    del expected["page-2"]
    expected |= {"page-1": "edited in ams", "page-3": "new in msk"}
    assert [expected, expected] == [texts_of_files(one) for one in pair.all]
    assert set() == held(msk)
    (msk.html / "page-4").unlink()
    assert "page-4" not in pair.wait_identical()
    assert 1 == msk.command("reject", "scan").code


def test_what_is_missing_comes_back_after_a_kill_too(pair: Regions) -> None:
    msk, ams, _ = emptied(pair, 400)
    expected = texts_of_files(ams)
    ams.kill()
    done(msk.command("reject", "scan"))
    msk.kill()
    msk.start()
    ams.start()
    pair.wait_identical()
    assert expected == texts_of_files(msk)


def test_files_that_are_put_back_end_the_hold(pair: Regions) -> None:
    msk, ams, away = emptied(pair)
    before = texts_of_files(ams)
    for path in sorted(away.iterdir())[:-3]:
        if path.is_dir():
            shutil.copytree(path, msk.html / path.name)
        else:
            shutil.copy(path, msk.html / path.name)
    time.sleep(7.0)
    assert {"scan"} == held(msk)
    assert before == texts_of_files(ams)
    for path in sorted(away.iterdir())[-3:]:
        shutil.copy(path, msk.html / path.name)
    wait_held(msk)
    pair.wait_identical()
    assert before == texts_of_files(ams)


def test_a_peer_that_deletes_most_of_the_tree_is_held(unstarted: Regions) -> None:
    msk, ams = sides(unstarted)
    ams.env["GEOROOT_HOLD_CHANGES"] = "10"
    fill(msk, 100)
    unstarted.start()
    unstarted.wait_identical()
    for number in range(100):
        (msk.html / f"page-{number}").unlink()
    wait_held(ams, "changes")
    (msk.html / "new in msk").write_text("x")
    (ams.html / "new in ams").write_text("x")
    wait_for((ams.html / "new in msk").exists, "everything else goes on")
    wait_for((msk.html / "new in ams").exists, "everything else goes on")
    ran = msk.command("wait", "--timeout", "1s")
    assert (5, "") == (ran.code, ran.err)
    assert "not there yet: ams: " in ran.out and "page-" in ran.out and "held as `changes`" in ran.out
    left = len(os.listdir(ams.html))
    assert 10 < left < 100
    ams.kill()
    ams.start()
    wait_held(ams, "changes")
    unstarted.wait_settled()
    assert left == len(os.listdir(ams.html))
    assert "from msk" in ams.status()["holds"][0]["why"]
    assert left - 2 == ams.metric("georoot_holds", hold="changes")
    done(ams.command("approve", "changes"))
    assert {"new in msk", "new in ams"} == set(unstarted.wait_identical())
    assert set() == held(ams)
    assert 98 < len(trashed(ams))
    (msk.html / "new in msk").unlink()
    assert {"new in ams"} == set(unstarted.wait_identical())


def test_what_a_peer_deletes_and_replaces_comes_back_there_when_it_is_rejected(unstarted: Regions) -> None:
    msk, ams = sides(unstarted)
    ams.env["GEOROOT_HOLD_CHANGES"] = "10"
    fill(msk, 60)
    (msk.html / "dir").mkdir()
    for number in range(20):
        (msk.html / "dir" / f"leaf-{number}").write_text(f"leaf {number}")
    unstarted.start()
    unstarted.wait_identical()
    shutil.rmtree(msk.html / "dir")
    for number in range(60):
        if number % 2:
            (msk.html / f"page-{number}").unlink()
        else:
            (msk.html / f"page-{number}").write_text("defaced")
    wait_held(ams, "changes")
    unstarted.wait_settled()
    kept = texts_of_files(ams)
    assert 40 < sum("defaced" != text for text in kept.values())
    done(ams.command("reject", "changes"))
    wait_held(ams)
    unstarted.wait_identical()
    assert [kept, kept] == [texts_of_files(one) for one in unstarted.all]
    assert 0 == ams.status()["store"]["conflicts"]
    (msk.html / "page-1").write_text("again")
    unstarted.wait_identical()
    assert "again" == (ams.html / "page-1").read_text()


def test_a_rejection_outlives_a_kill(unstarted: Regions) -> None:
    msk, ams = sides(unstarted)
    ams.env["GEOROOT_HOLD_CHANGES"] = "10"
    fill(msk, 60)
    unstarted.start()
    unstarted.wait_identical()
    for number in range(60):
        (msk.html / f"page-{number}").unlink()
    wait_held(ams, "changes")
    unstarted.wait_settled()
    kept = texts(ams)
    msk.kill()
    done(ams.command("reject", "changes"))
    assert "rejected" in ams.status()["holds"][0]["why"]
    ams.kill()
    unstarted.start()
    unstarted.wait_identical()
    assert kept == texts(msk)
    wait_held(ams)


def test_a_directory_whose_content_is_held_stays_and_goes_with_it(unstarted: Regions) -> None:
    msk, ams = sides(unstarted)
    ams.env["GEOROOT_HOLD_CHANGES"] = "10"
    for number in range(40):
        (msk.html / "site" / f"part-{number % 2}").mkdir(parents=True, exist_ok=True)
        (msk.html / "site" / f"part-{number % 2}" / f"page-{number}").write_text("x")
    (msk.html / "other").write_text("x")
    unstarted.start()
    unstarted.wait_identical()
    shutil.rmtree(msk.html / "site")
    wait_held(ams, "changes")
    unstarted.wait_settled()
    time.sleep(1.0)
    assert {"other"} == set(msk.tree())
    assert {"other", "site", "site/part-0"} < set(ams.tree())
    assert 0 == ams.metric("georoot_rows_written_total", origin="local")
    done(ams.command("approve", "changes"))
    assert {"other"} == set(unstarted.wait_identical())
    wait_held(ams)


def test_a_peer_that_puts_back_what_is_held_ends_the_hold(unstarted: Regions) -> None:
    msk, ams = sides(unstarted)
    ams.env["GEOROOT_HOLD_CHANGES"] = "10"
    fill(msk, 60)
    unstarted.start()
    before = unstarted.wait_identical()
    msk.html.joinpath("dir").mkdir()
    for number in range(60):
        (msk.html / f"page-{number}").rename(msk.volume / f"page-{number}")
    wait_held(ams, "changes")
    for number in range(60):
        (msk.volume / f"page-{number}").rename(msk.html / f"page-{number}")
    assert {*before, "dir"} == set(unstarted.wait_identical())
    done(ams.command("status"))
    ams.stop()
    ams.start()
    wait_held(ams)


def test_what_the_trash_has_no_room_for_is_held(unstarted: Regions) -> None:
    msk, ams = sides(unstarted)
    ams.env["GEOROOT_TRASH_MAX"] = "100K"
    unstarted.start()
    for number in range(5):
        (msk.html / f"page-{number}").write_text("1" * 30_000)
    unstarted.wait_identical()
    for number in range(5):
        (msk.html / f"page-{number}").write_text("2" * 30_000)
    wait_held(ams, "trash")
    (msk.html / "new in msk").write_text("x")
    wait_for((ams.html / "new in msk").exists, "everything else goes on")
    assert 3 == sum(text[0] == "2" for text in texts(ams).values())
    ran = msk.command("wait", "--timeout", "1s")
    assert (5, "") == (ran.code, ran.err) and "held as `trash`" in ran.out
    ams.kill()
    ams.start()
    wait_held(ams, "trash")
    unstarted.wait_settled()
    assert 3 == sum(text[0] == "2" for text in texts(ams).values())
    done(ams.command("approve", "trash"))
    unstarted.wait_identical()
    wait_held(ams)
    assert 5 == len(trashed(ams))


# -- a root that wins everywhere


def test_a_backup_that_was_unpacked_wins_everywhere_once_that_is_approved(pair: Regions) -> None:
    msk, ams = sides(pair)
    fill(msk, 40, "old")
    (msk.html / "dir").mkdir()
    (msk.html / "dir" / "leaf").write_text("old leaf")
    backup = texts_of_files(msk)
    pair.wait_identical()
    for number in range(0, 40, 2):
        (ams.html / f"page-{number}").write_text("newer in ams")
    (ams.html / "later").write_text("newer in ams")
    pair.wait_identical()
    msk.stop()
    ams.kill()
    shutil.rmtree(msk.html)
    (msk.html / "dir").mkdir(parents=True)
    at = time.time_ns() - 10**15
    for name, text in backup.items():
        (msk.html / name).write_text(text)
        os.utime(msk.html / name, ns=(at, at))
    for name in ("index.db", "index.db-wal"):
        (msk.state / name).unlink(missing_ok=True)
    msk.start()
    wait_for(lambda: msk.status().get("state") == "finding", "an old copy with a new index waits for the other")
    said = done(msk.command("assert")).out
    assert "42 paths (" in said and "sidecar approve assert" in said
    msk.kill()
    msk.start()
    wait_held(msk, "assert")
    assert 1 == msk.command("approve", "scan").code
    assert "approved: assert\n" == done(msk.command("approve", "assert")).out
    assert set() == held(msk)
    ams.start()
    pair.wait_identical()
    after = backup | {"later": "newer in ams"}
    assert [after, after] == [texts_of_files(one) for one in pair.all]
    (msk.html / "dir" / "leaf").unlink()
    assert "dir/leaf" not in pair.wait_identical()


def test_what_is_gone_here_is_deleted_elsewhere_by_an_assertion(pair: Regions) -> None:
    msk, ams, _ = emptied(pair)
    (msk.html / "page-1").write_text("from the backup")
    wait_for(lambda: "from the backup" == (ams.html / "page-1").read_text(), "what is written goes as ever")
    assert "are to be deleted there" in done(msk.command("assert", "dir")).out
    assert "rejected: assert\n" == done(msk.command("reject", "assert")).out
    assert {"scan"} == held(msk)
    assert "1 paths (15 B)" in done(msk.command("assert")).out
    done(msk.command("approve", "assert"))
    assert {"page-1"} == set(pair.wait_identical())
    wait_held(msk)
    ran = msk.command("assert", "nowhere")
    assert (1, "sidecar: nowhere: nothing lies there; see `sidecar restore`\n") == (ran.code, ran.err)


# -- a web root that is another one


def _moved(html: Path) -> None:
    html.rename(html.parent / "away")


def _replaced(html: Path) -> None:
    _moved(html)
    html.mkdir()


def _moved_and_deleted(html: Path) -> None:
    _moved(html)
    shutil.rmtree(html.parent / "away")


@pytest.mark.parametrize("change", [_moved, _replaced, _moved_and_deleted])
def test_a_web_root_that_is_another_one_ends_the_daemon_and_deletes_nothing(
    pair: Regions, change: Callable[[Path], None]
) -> None:
    msk, ams = sides(pair)
    fill(msk, 50)
    pair.wait_identical()
    change(msk.html)
    assert 3 == msk.ended()
    said = msk.said().splitlines()[-1]
    assert f"sidecar: web root {msk.html}: was moved, deleted or replaced; mount the right one" in said
    assert 50 == len(os.listdir(ams.html))


def test_a_web_root_that_is_deleted_ends_the_daemon(pair: Regions) -> None:
    msk, _ = sides(pair)
    msk.html.rmdir()
    assert 3 == msk.ended()
    assert "Traceback" not in msk.said()
