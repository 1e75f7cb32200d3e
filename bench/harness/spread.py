"""Medians with their spread, and ratios taken round by round. No clock, no I/O."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """What several rounds gave.

    Attributes:
        low: The first quartile: a quarter of the rounds gave less.
        median: The median.
        high: The third quartile.
    """

    low: float
    median: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Give median and quartiles; of a single value, itself."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    return Spread(*statistics.quantiles(values, n=4, method="inclusive"))


def ratios(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """Divide round by round.

    Raises:
        ValueError: They are not of the same rounds.
    """
    return [value / other for value, other in zip(values, to, strict=True)]


def differences(values: Sequence[float], less: Sequence[float]) -> list[float]:
    """Subtract round by round.

    Raises:
        ValueError: They are not of the same rounds.
    """
    return [value - other for value, other in zip(values, less, strict=True)]


def significant(value: float) -> str:
    """Write a figure with as many digits as mean something: ``12,300``, ``123``, ``12.3``, ``0.123``."""
    if value == 0 or abs(value) >= 1_000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"
