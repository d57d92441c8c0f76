"""Two web roots that both hold something meet for the first time, and a person says which wins."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.sidecars import Ran, Regions, Sidecar, regions
from tests.support.asking import wait_for

HOUR = 3600


@pytest.fixture
def unstarted(tmp_path: Path) -> Iterator[Regions]:
    with regions(tmp_path, "msk", "ams") as made:
        yield made


def write(one: Sidecar, name: str, text: str, age: float) -> None:
    path = one.html / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    at = time.time_ns() - int(age * 1e9)
    os.utime(path, ns=(at, at))


def differ(pair: Regions) -> tuple[Sidecar, Sidecar]:
    """Both have content: the same, their own, and two pages that differ, each side having written one of them later."""
    msk, ams = pair.all
    for one in (msk, ams):
        write(one, "dir/same", "same", HOUR)
        write(one, f"only {one.region}", f"only {one.region}", HOUR)
    write(msk, "newer in msk", "msk", 1 * HOUR)
    write(ams, "newer in msk", "ams", 2 * HOUR)
    write(msk, "newer in ams", "msk", 2 * HOUR)
    write(ams, "newer in ams", "ams", 1 * HOUR)
    return msk, ams


def texts(one: Sidecar) -> dict[str, str]:
    return {str(path.relative_to(one.html)): path.read_text() for path in one.html.rglob("*") if path.is_file()}


def trashed(one: Sidecar) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done(one.command("trash", "--json")).out)
    return found


def done(ran: Ran) -> Ran:
    assert (0, "") == (ran.code, ran.err), ran
    return ran


def lines(ran: Ran) -> list[str]:
    return [line.strip() for line in done(ran).out.splitlines()]


def waiting(pair: Regions, joins: str) -> tuple[Sidecar, Sidecar]:
    """Both started, the region `joins` waiting for a person; first it, then the other."""
    msk, ams = pair.all
    first, other = (msk, ams) if joins == "msk" else (ams, msk)
    first.env["GEOROOT_FOUND"] = "join"
    for one in (first, other):
        one.start()
    wait_for(lambda: other.status().get("state") == "running", "the other has taken what it found for its own")
    wait_for(lambda: first.status().get("state") == "finding", "one waits")
    return first, other


EXPECTED = {
    "msk": {"newer in msk": "msk", "newer in ams": "msk"},
    "ams": {"newer in msk": "ams", "newer in ams": "ams"},
    "newest": {"newer in msk": "msk", "newer in ams": "ams"},
}
ALWAYS = {"dir/same": "same", "only msk": "only msk", "only ams": "only ams"}


@pytest.mark.parametrize("joins", ["msk", "ams"])
@pytest.mark.parametrize("wins", ["msk", "ams", "newest"])
def test_who_was_chosen_wins_and_what_loses_is_kept(unstarted: Regions, joins: str, wins: str) -> None:
    differ(unstarted)
    before = {one.region: texts(one) for one in unstarted.all}
    first, other = waiting(unstarted, joins)
    prefer = "local" if wins == joins else wins
    said = lines(first.command("join", "--prefer", prefer, "--dry-run"))
    assert [
        f"{other.region}: 2 paths are the same, 2 differ",
        "only here: 1 (8 B), only there: 1 (8 B): they stay",
    ] == said[:2]
    assert (4 if wins == "newest" else 3) == len(said)
    time.sleep(1.0)
    assert before == {one.region: texts(one) for one in unstarted.all}, "a dry run changes nothing"
    assert "waits for `sidecar join`" in done(first.command("status")).out
    assert "joined" == lines(first.command("join", "--prefer", prefer, "--yes"))[-1]
    unstarted.wait_identical()
    expected = EXPECTED[wins] | ALWAYS
    assert [expected, expected] == [texts(one) for one in unstarted.all]
    loser = other if prefer == "local" else first
    if wins != "newest":
        assert {"newer in msk", "newer in ams"} == {item["path"] for item in trashed(loser)}
        assert [0, 0] == [one.status()["store"]["conflicts"] for one in unstarted.all]
        done(loser.command("restore", "newer in msk"))
        unstarted.wait_identical()
        assert loser.region == texts(unstarted.all[0])["newer in msk"]
    ran = first.command("join", "--prefer", "local", "--yes")
    assert (1, 1) == (ran.code, ran.err.count("\n"))
    assert "has joined already" in ran.err


def test_a_decision_outlives_a_kill(unstarted: Regions) -> None:
    differ(unstarted)
    msk, ams = waiting(unstarted, "msk")
    done(msk.command("join", "--prefer", "local", "--dry-run"))
    ams.kill()
    ran = msk.command("join", "--prefer", "local", "--yes", "--timeout", "1s")
    assert 1 == ran.code and "goes on: not all is said yet by ams" in ran.out
    msk.kill()
    msk.start()
    ams.start()
    unstarted.wait_identical()
    assert EXPECTED["msk"] | ALWAYS == texts(ams)
    assert not any("join" in said for said in msk.status()["warnings"])


def test_what_waits_is_asked_for_after_a_restart_too(unstarted: Regions) -> None:
    differ(unstarted)
    msk, ams = waiting(unstarted, "msk")
    before = lines(msk.command("join", "--prefer", "ams", "--dry-run"))
    msk.kill()
    write(ams, "later", "later", 0)
    msk.start()
    wait_for(lambda: msk.status().get("state") == "finding", "it waits again")
    after = lines(msk.command("join", "--prefer", "ams", "--dry-run"))
    assert before[0] == after[0] and "only there: 2" in after[1]
    assert not (msk.html / "later").exists()
    done(msk.command("join", "--prefer", "ams", "--yes"))
    unstarted.wait_identical()
    assert EXPECTED["ams"] | ALWAYS | {"later": "later"} == texts(msk)


def test_a_peer_that_is_not_there_cannot_win(unstarted: Regions) -> None:
    msk, _ = differ(unstarted)
    msk.env["GEOROOT_FOUND"] = "join"
    msk.start()
    wait_for(lambda: msk.status().get("state") == "finding", "it waits")
    ran = msk.command("join", "--prefer", "ams", "--timeout", "1s", "--dry-run")
    assert (1, "") == (ran.code, ran.err) and "ams: not compared in full: " in ran.out
    ran = msk.command("join", "--prefer", "ams", "--timeout", "1s", "--yes")
    assert 1 == ran.code and "it must be there to win" in ran.err and 1 == ran.err.count("\n")
    assert (1, 1) == ((ran := msk.command("join", "--prefer", "mars", "--yes")).code, ran.err.count("\n"))
    assert "finding" == msk.status()["state"]


def test_two_that_wait_for_a_person_say_so_and_the_first_decision_lets_both_go_on(unstarted: Regions) -> None:
    msk, ams = differ(unstarted)
    for one in (msk, ams):
        one.env["GEOROOT_FOUND"] = "join"
        one.start()
    wait_for(lambda: all(one.status().get("state") == "finding" for one in (msk, ams)), "both wait")
    ran = msk.command("join", "--prefer", "ams", "--timeout", "2s", "--yes")
    assert 1 == ran.code and "does it wait for `sidecar join` too?" in ran.err
    ran = ams.command("join", "--prefer", "newest", "--yes", "--timeout", "2s")
    assert "joined" == lines(ran)[-1]
    assert "joined" == lines(msk.command("join", "--prefer", "local", "--yes"))[-1]
    unstarted.wait_identical()
    assert EXPECTED["msk"] | ALWAYS == texts(ams)


def test_an_empty_root_has_nothing_to_decide(unstarted: Regions) -> None:
    msk, ams = unstarted.all
    write(ams, "page", "x", 0)
    msk.env["GEOROOT_FOUND"] = "join"
    unstarted.start()
    unstarted.wait_identical()
    assert {"page": "x"} == texts(msk)
