"""What a picture consists of: shapes with coordinates and texts, nothing of how they look. Pure.

Heights grow downwards, as time does. `layout` makes a `Picture` from events; `diagram` draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dslab.kit.trace.event import Event
from dslab.kit.trace.fold import Fold
from dslab.kit.trace.spans import Life


class Ending(StrEnum):
    """What became of an arrow."""

    ARRIVED = "arrived"
    LOST = "lost"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Column:
    """A service's place."""

    name: str
    x: float
    label: str
    width: float  # of the box with its name


@dataclass(frozen=True, slots=True)
class LifeLine:
    """A piece of a service's lifeline."""

    x: float
    top: float
    bottom: float
    life: Life


@dataclass(frozen=True, slots=True)
class Arrow:
    """Something that travelled, or a connection's beginning or end."""

    event: Event
    x0: float
    y0: float
    x1: float
    y1: float
    goal: float  # the column it was sent to, reached or not
    connection: str
    label: str
    detail: str
    effects: str
    ending: Ending
    struck: bool  # a fault did something to it
    last: bool = False  # the last thing that the grader sent or received before the check failed


@dataclass(frozen=True, slots=True)
class Sign:
    """A word at a service's lifeline: what happened to it, or what its program said."""

    event: Event
    x: float
    y: float
    text: str
    bad: bool  # it ended otherwise than well


@dataclass(frozen=True, slots=True)
class Notice:
    """A word between two columns: a fault set in, ended, or struck once."""

    event: Event
    x0: float
    x1: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Band:
    """A fault for as long as it lasted, across the columns of its link."""

    left: float
    right: float
    top: float
    bottom: float
    label: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class FoldRow:
    """Events that stand in one row."""

    fold: Fold
    x0: float
    x1: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Wait:
    """A long wait, shortened."""

    top: float
    bottom: float
    text: str
    fatal: bool = False  # the failure ended it


@dataclass(frozen=True, slots=True)
class Tick:
    """A time in the gutter."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the whole picture: the check begins, or fails."""

    y: float
    elapsed_s: float
    text: str
    failure: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything there is to draw."""

    width: float
    height: float
    start_s: float
    unit: str
    many: frozenset[str]  # the links that had more than one connection
    columns: tuple[Column, ...]
    lifelines: tuple[LifeLine, ...]
    arrows: tuple[Arrow, ...]
    signs: tuple[Sign, ...]
    notices: tuple[Notice, ...]
    bands: tuple[Band, ...]
    folds: tuple[FoldRow, ...]
    waits: tuple[Wait, ...]
    ticks: tuple[Tick, ...]
    rules: tuple[Rule, ...]

    @property
    def middle(self) -> float:
        """Between the first and the last column."""
        return (self.columns[0].x + self.columns[-1].x) / 2 if self.columns else self.width / 2

    @property
    def in_order(self) -> list[Arrow | FoldRow]:
        """What a reader can ask about, from top to bottom."""
        return sorted(
            [*self.arrows, *self.folds], key=lambda shape: shape.y0 if isinstance(shape, Arrow) else shape.y
        )

    @property
    def failure_y(self) -> float | None:
        """Where the check failed, if it did."""
        return next((rule.y for rule in self.rules if rule.failure), None)
