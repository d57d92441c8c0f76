"""The table that a person reads, and what its rows take from a measurement."""

import json
from dataclasses import asdict

import pytest

from bench.outcome import Measurement, Outcome
from bench.scale import Grown, not_up
from bench.scale import table as scale_table
from bench.stats import NEVER
from bench.table import ROWS, Row, at, core_share, megabytes, seconds, table, values
from bench.works import PRESSED, WORKS


def measured(tool: str, work: str, turn: int, outcome: Outcome | None) -> Measurement:
    return Measurement(tool, work, turn, outcome, tool_cpu=0.5, wire=2_000_000, elapsed=10.0)


def burst(tool: str, *turns: float | None) -> list[Measurement]:
    return [measured(tool, "burst", turn, Outcome(seconds=took)) for turn, took in enumerate(turns)]


BURST = Row("burst, s", "burst", seconds)


def test_a_row_has_medians_spreads_and_how_many_times_ours_the_others_are() -> None:
    text = table(
        [*burst("georoot", 2.0, 3.0, 2.5), *burst("rsync", 1.0), *burst("x", None)], ["georoot", "rsync", "x"], [BURST]
    )
    assert [
        "|          | georoot          | rsync     | x     |",
        "| -------- | ---------------- | --------- | ----- |",
        "| burst, s | 2.50 (2.00-3.00) | 1.00 x0.4 | never |",
    ] == text.splitlines()


def test_a_row_that_nobody_has_a_figure_for_is_left_out() -> None:
    assert 2 == len(table(burst("georoot", 1.0), ["georoot"], [Row("singles", "singles", at(0.5))]).splitlines())


def test_a_tool_without_a_figure_has_an_empty_cell() -> None:
    assert "|       |" in table(burst("georoot", 1.0), ["georoot", "rsync"], [BURST])


def test_without_ours_there_is_no_ratio() -> None:
    assert "x" not in table(burst("rsync", 1.0), ["rsync"], [BURST])


def test_what_never_arrived_counts_among_the_slowest() -> None:
    one = measured("a", "singles", 0, Outcome(samples=(0.001, 0.002, 0.003), never=1))
    assert (2.0, NEVER) == (at(0.5)(one), at(0.95)(one))


def test_what_was_ended_from_outside_never_came_to_its_end() -> None:
    one = measured("a", "burst", 0, None)
    assert (NEVER, NEVER) == (seconds(one), at(0.5)(one))


def test_shares_and_megabytes() -> None:
    one = measured("a", "idle", 0, Outcome(seconds=10.0))
    assert (5.0, 2.0) == (core_share(one), megabytes(one))


def test_every_row_is_of_a_work_that_is_done_and_every_work_has_a_row() -> None:
    assert {*WORKS, *PRESSED} == {row.work for row in ROWS}


def test_every_row_has_a_figure_of_a_whole_measurement() -> None:
    counts = {"missing": 0, "empty": 0, "torn": 0}
    whole = Outcome(seconds=1.0, samples=(0.1,), across=(0.1,), counts=counts, timeline=((0.1, 1),), machine_cpu=1.0)
    turns = [Measurement("a", work, 0, whole, 1.0, 1, 1.0, memory=1) for work in (*WORKS, *PRESSED)]
    assert [] == [row.title for row in ROWS if len(values(row, "a", turns)) != 1]


def test_a_measurement_is_the_same_after_it_was_written_and_read() -> None:
    outcome = Outcome(samples=(0.1, 0.2), across=(0.3,), counts={"reads": 3}, timeline=((0.5, 1),))
    for one in (measured("a", "burst", 1, outcome), measured("a", "burst", 1, None)):
        assert one == Measurement.from_dict(json.loads(json.dumps(asdict(one))))


def test_growth_says_what_was_not_in_time_and_leaves_empty_what_was_not_looked_at() -> None:
    text = scale_table(
        [Grown("georoot", 1_000_000, contact=30.04, contact_bytes=99.96), Grown("x", 10_000, contact=NEVER)]
    )
    ours, theirs = text.splitlines()[2:]
    assert ours.startswith("| 1 000 000 | georoot | 30.0")
    assert "| 100.0 " in ours and "never" not in ours
    assert theirs.startswith("| 10 000    | x       | never")


@pytest.mark.parametrize(
    ("known", "then"),
    [
        (Grown("x", 10), Grown("x", 10, contact=NEVER)),
        (Grown("x", 10, contact=1.0), Grown("x", 10, contact=1.0, carries=NEVER)),
        (Grown("x", 10, contact=1.0, carries=2.0), Grown("x", 10, contact=1.0, carries=2.0, beside_scan=NEVER)),
    ],
)
def test_nodes_that_do_not_come_up_again_leave_what_was_measured(known: Grown, then: Grown) -> None:
    assert then == not_up(known)
