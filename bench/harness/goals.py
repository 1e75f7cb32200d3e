"""What is promised: a figure, or a ratio of two, with a bound.

Of a peer that is not installed nothing can be said, so its goals have no value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.harness.rounds import Samples
from bench.harness.spread import Spread, differences, ratios, spread

Value = Callable[[Samples], list[float]]
"""Gives a value for each round. Raises KeyError where somebody is not installed."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise.

    Attributes:
        text: What is compared with what.
        value: The value, round by round.
        at_most: Its bound from above, ...
        at_least: ... or from below.
        scale: What the value is multiplied by to be shown.
        unit: Its unit, if any.
    """

    text: str
    value: Value
    at_most: float | None = None
    at_least: float | None = None
    scale: float = 1.0
    unit: str = ""

    def measured(self, samples: Samples) -> Spread | None:
        """Give what came out; None where a peer is left out."""
        try:
            values = self.value(samples)
        except KeyError:
            return None
        return spread([value * self.scale for value in values])

    def is_met(self, measured: Spread) -> bool | None:
        """Compare the median with the bound; None where nothing is promised."""
        if self.at_most is not None:
            return measured.median <= self.at_most
        return None if self.at_least is None else measured.median >= self.at_least


def figure(row: str, name: str) -> Value:
    """Give a figure as it is."""
    return lambda samples: samples.of(row, name)


def ratio(row: str, to: str, name: str) -> Value:
    """Compare a figure of two rows, inside each round."""
    return lambda samples: ratios(samples.of(row, name), samples.of(to, name))


def difference(row: str, to: str, name: str) -> Value:
    """Subtract a figure of one row from that of another, inside each round."""
    return lambda samples: differences(samples.of(row, name), samples.of(to, name))
