"""Between what replaces anything and what sweeps most of a tree away a tool gets the rest that it needs."""

import types

import pytest

from bench import lab
from bench.lab import Lab
from bench.meter import Reading
from bench.outcome import Outcome, Size
from bench.tools import tools
from bench.works import WORKS


class Clock:
    """Time that passes when somebody sleeps; a work takes a second."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lab, "time", types.SimpleNamespace(monotonic=made.monotonic, sleep=made.sleep))
    return made


def begun(clock: Clock, monkeypatch: pytest.MonkeyPatch, works: list[str]) -> dict[str, float]:
    """When each of these works of one turn of georoot began."""
    at: dict[str, float] = {}

    def ask(work: str, phase: str, _size: Size, _limit: float) -> Outcome:
        if phase == "run":
            at[work] = clock.now
            clock.now += 1.0
        return Outcome(seconds=1.0)

    made = object.__new__(Lab)
    made.tool = tools("georoot:1", "bench:1")["georoot"]
    made._replaced_at = -1e9
    monkeypatch.setattr(made, "_ask", ask)
    monkeypatch.setattr(made, "settle", lambda: Reading(clock.now, 0.0, 0))
    monkeypatch.setattr(made, "reading", lambda: Reading(clock.now, 0.0, 0))
    monkeypatch.setattr(made, "memory", lambda: 0)
    for work in works:
        made.measure(work, 0, Size())
    return at


@pytest.mark.parametrize("before", [name for name, work in WORKS.items() if work.replaces and not work.sweeps])
def test_one_replaced_file_is_enough_for_the_rest(before: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    at = begun(clock, monkeypatch, [before, "singles", "delete"])
    assert at["delete"] - at[before] >= 61.0


def test_what_replaces_nothing_is_not_waited_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    at = begun(clock, monkeypatch, ["upload", "singles", "burst", "idle", "delete"])
    assert at["delete"] - at["upload"] < 61.0


def test_of_a_whole_turn_no_work_sweeps_what_another_counts_with(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    at = begun(clock, monkeypatch, list(WORKS))
    assert list(WORKS) == sorted(at, key=at.__getitem__)
    last = max(at[name] for name, work in WORKS.items() if work.replaces and not work.sweeps)
    assert {"delete": True} == {name: at[name] - last >= 61.0 for name, work in WORKS.items() if work.sweeps}
