"""Pictures: what they show lies where it should, and they are well-formed."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.draw import Curve, Scale, comparison, distribution, middle, panel, picture, round_up
from bench.outcome import Measurement, Outcome
from bench.scale import Grown, drawn
from bench.stats import NEVER

SVG = "{http://www.w3.org/2000/svg}"


def measured(tool: str, work: str, outcome: Outcome) -> Measurement:
    return Measurement(tool, work, 0, outcome, tool_cpu=0.0, wire=0, elapsed=1.0)


@pytest.mark.parametrize(("value", "place"), [(1.0, 0.0), (10.0, 50.0), (100.0, 100.0)])
def test_a_logarithmic_scale_gives_each_power_of_ten_the_same_room(value: float, place: float) -> None:
    assert place == pytest.approx(Scale(1.0, 100.0, 0.0, 100.0, log=True).place(value))


@pytest.mark.parametrize(("value", "place"), [(0.0, 300.0), (5.0, 150.0), (10.0, 0.0)])
def test_a_linear_scale_may_grow_upwards(value: float, place: float) -> None:
    assert place == pytest.approx(Scale(0.0, 10.0, 300.0, 0.0).place(value))


def test_ticks_are_round() -> None:
    assert [0, 2000, 4000, 6000, 8000, 10000] == Scale(0, 10_000, 0, 1).ticks()
    assert [1, 10, 100, 1000] == Scale(1, 1000, 0, 1, log=True).ticks()


@pytest.mark.parametrize(("value", "rounded"), [(1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (70.0, 100.0), (0.03, 0.05)])
def test_the_next_round_figure(value: float, rounded: float) -> None:
    assert rounded == pytest.approx(round_up(value))


@given(st.floats(1e-6, 1e9))
def test_a_step_makes_at_most_five(most: float) -> None:
    assert 2 <= len(Scale(0.0, most, 0, 1).ticks()) <= 6


def test_a_distribution_ends_below_all_if_some_never_arrived() -> None:
    points = distribution([0.003, 0.001, 0.002], never=1)
    assert [(1.0, 25.0), (2.0, 50.0), (3.0, 75.0)] == [(round(x, 6), y) for x, y in points]


def test_the_middle_turn_is_that_of_the_median_time() -> None:
    turns = [measured("a", "burst", Outcome(seconds=one)) for one in (3.0, 1.0, None)]
    assert turns[0] is middle(turns)
    assert None is middle([])


def test_a_panel_leaves_out_what_a_logarithm_cannot_show() -> None:
    text = "\n".join(
        panel("t", ("x", "y"), [Curve("c", [(0.0, 1.0), (1.0, 1.0), (10.0, 2.0)], "red")], logs=(True, False))
    )
    polyline = next(line for line in text.splitlines() if line.startswith("<polyline"))
    assert 2 == polyline.split('"')[1].count(",")


def test_a_picture_is_well_formed_whatever_the_names() -> None:
    root = ET.fromstring(
        picture([panel("a < b & c", ("x", "y"), [Curve("<tool>", [(1.0, 1.0)], "red")], logs=(True, True))])
    )
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "a < b & c" in texts and "<tool>" in texts
    assert 1 == len(list(root.iter(f"{SVG}circle")))


def test_a_comparison_has_a_panel_for_each_work_that_was_measured() -> None:
    single = measured("georoot", "singles", Outcome(samples=(0.004, 0.005)))
    burst = measured("rsync", "burst", Outcome(seconds=1.0, timeline=((0.1, 0), (1.0, 300))))
    for turns, panels in (([single], 1), ([single, burst], 2), ([], 0)):
        root = ET.fromstring(comparison(turns, ["georoot", "rsync"]))
        assert panels == len(list(root.iter(f"{SVG}g")))


def test_growth_is_drawn_for_what_was_in_time() -> None:
    grown = [Grown("georoot", files, quiet=files / 1e4) for files in (10_000, 100_000)] + [
        Grown("x", 10_000, quiet=NEVER)
    ]
    root = ET.fromstring(drawn(grown, ["georoot", "x"]))
    lines = [one.get("points") or "" for one in root.iter(f"{SVG}polyline")]
    assert [2] == [line.count(",") for line in lines if line]
