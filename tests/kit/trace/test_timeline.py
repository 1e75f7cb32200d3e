from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.trace.timeline import BREAK_PX, Timeline, scale_for

ABOVE, BELOW = 17.0, 6.0


def test_waits_set_the_scale_where_there_are_any() -> None:
    assert scale_for([0, 0.0001, 0.0002, 0.1, 0.1001, 0.2]) == pytest.approx(40 / 0.0999, rel=0.01)


def test_a_single_burst_sets_its_own_scale() -> None:
    assert scale_for([0, 0.001, 0.002, 0.003]) == pytest.approx(26 / 0.001, rel=0.01)
    assert scale_for([]) > 0
    assert scale_for([1.0, 1.0]) > 0


def test_rows_of_one_lane_keep_their_distance() -> None:
    timeline = Timeline(2, px_per_s=1_000, top=10)
    heights = [timeline.row(number * 1e-6, [0], ABOVE, BELOW) for number in range(3)]
    assert heights == [27, 50, 73]


def test_rows_of_two_lanes_stand_side_by_side() -> None:
    timeline = Timeline(2, px_per_s=1_000, top=10)
    assert timeline.row(0, [0], ABOVE, BELOW) == timeline.row(0, [1], ABOVE, BELOW)


def test_time_is_drawn_to_scale_where_there_is_room() -> None:
    timeline = Timeline(1, px_per_s=1_000, top=0)
    first = timeline.row(0, [0], ABOVE, BELOW)
    assert timeline.row(0.06, [0], ABOVE, BELOW) == first + 60


def test_a_long_wait_becomes_a_break_of_fixed_height() -> None:
    timeline = Timeline(1, px_per_s=1_000, top=0)
    first = timeline.row(0, [0], ABOVE, BELOW)
    second = timeline.row(20, [0], ABOVE, BELOW)
    [pause] = timeline.breaks
    assert pause.seconds == 20
    assert pause.height == BREAK_PX
    assert first < pause.y < pause.y + pause.height <= second < first + 110


def test_an_arrival_is_always_lower_than_its_departure() -> None:
    timeline = Timeline(1, px_per_s=1, top=0)
    left = timeline.row(0, [0], ABOVE, BELOW)
    assert timeline.arrival(0, [0], left) > left


def test_a_skip_takes_its_pixels_whatever_its_time() -> None:
    timeline = Timeline(1, px_per_s=1_000, top=0)
    y = timeline.row(0, [0], ABOVE, BELOW)
    assert timeline.skip(30, 22) == y + 22
    assert timeline.breaks == []
    assert timeline.row(30.0, [0], ABOVE, BELOW) < y + 60


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 3)), max_size=40))
def test_later_is_never_higher(rows: list[tuple[float, int]]) -> None:
    timeline = Timeline(4, px_per_s=50, top=5)
    times = sorted(rows)
    heights = [timeline.row(t_s, [lane], ABOVE, BELOW) for t_s, lane in times]
    assert heights == sorted(heights)
    moments = [timeline.y_at(t_s / 10) for t_s in range(-10, 1_100)]
    assert moments == sorted(moments)


def test_moments_between_two_rows_lie_between_them() -> None:
    timeline = Timeline(1, px_per_s=100, top=0)
    first = timeline.row(1.0, [0], ABOVE, BELOW)
    second = timeline.row(1.4, [0], ABOVE, BELOW)
    assert timeline.y_at(1.2) == pytest.approx((first + second) / 2)
    assert timeline.y_at(0) == first
    assert timeline.y_at(9) == second
    assert Timeline(1, 1, top=7).y_at(3) == 7
