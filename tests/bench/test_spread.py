from __future__ import annotations

import pytest

from bench.harness.spread import Spread, differences, ratios, significant, spread


def test_quartiles_lie_among_what_was_measured() -> None:
    assert spread([5, 1, 3, 2, 4]) == Spread(2, 3, 4)


def test_a_single_round_is_its_own_spread() -> None:
    assert spread([7]) == Spread(7, 7, 7)


def test_a_ratio_is_taken_inside_a_round() -> None:
    ours, theirs = [1.0, 10.0, 3.0], [2.0, 20.0, 6.0]  # the second round was slow, for both
    assert spread(ratios(ours, theirs)) == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize("pair", [ratios, differences])
def test_rounds_are_not_paired_with_others(pair: object) -> None:
    with pytest.raises(ValueError, match="shorter"):
        pair([1.0, 2.0], [1.0])  # type: ignore[operator]


def test_differences_are_taken_inside_a_round() -> None:
    assert differences([3.0, 5.0], [1.0, 1.0]) == [2.0, 4.0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (-0.1234, "-0.123")],
)
def test_a_figure_has_as_many_digits_as_mean_something(value: float, text: str) -> None:
    assert significant(value) == text
