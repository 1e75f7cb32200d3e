"""A picture of a benchmark: one SVG file that needs nothing else, in light and dark.

A panel for each figure, a line for each row: a dot at the median, a bar from quartile to quartile, on a
logarithmic axis, because who is compared differs by powers of ten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from bench.harness.report import RESULTS, Block, Column
from bench.harness.rounds import Samples
from bench.harness.spread import Spread, significant, spread

TEMPLATE = Path(__file__).parent / "plot.svg.jinja"
PLOT_PX = 360
NOTE_CHARS = 100


@dataclass(frozen=True, slots=True)
class Mark:
    """One row of a panel: its place on the axis, in pixels.

    Attributes:
        row: Who.
        text: The median, written.
        low_px: Where the bar begins.
        median_px: Where the dot is.
        high_px: Where the bar ends.
        ours: Is it what the others are compared with?
    """

    row: str
    text: str
    low_px: float
    median_px: float
    high_px: float
    ours: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of all rows.

    Attributes:
        title: The situation, and the figure with its unit.
        marks: The rows, the least first.
        ticks: Places on the axis, with what is written there.
    """

    title: str
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic axis from one power of ten to another."""

    first: int
    last: int

    @classmethod
    def around(cls, values: Sequence[float]) -> Axis:
        """Give an axis that has room for all."""
        first = math.floor(math.log10(min(values)))
        return cls(first, max(first + 1, math.ceil(math.log10(max(values)))))

    def px(self, value: float) -> float:
        """Place a value."""
        return round((math.log10(value) - self.first) / (self.last - self.first) * PLOT_PX, 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Give the powers of ten."""
        return tuple(
            (self.px(10.0**power), f"{10.0**power:,.{max(0, -power)}f}")
            for power in range(self.first, self.last + 1)
        )


def panel(block: Block, column: Column, samples: Samples) -> Panel | None:
    """Lay out a figure; None if nobody has it, or it is not above zero."""
    spreads = {
        row: Spread(*(value * column.scale for value in spread(samples.of(row, column.figure))))
        for row in samples.values
        if samples.has(row, column.figure)
    }
    spreads = {row: each for row, each in spreads.items() if each.low > 0}
    if not spreads:
        return None
    axis = Axis.around([value for each in spreads.values() for value in each])
    marks = tuple(
        Mark(
            row,
            significant(each.median),
            axis.px(each.low),
            axis.px(each.median),
            axis.px(each.high),
            row == block.reference,
        )
        for row, each in sorted(spreads.items(), key=lambda item: item[1].median)
    )
    return Panel(f"{block.title}: {column.heading}", marks, axis.ticks())


def draw(title: str, blocks: Sequence[Block], samples: Samples, note: str) -> str:
    """Draw all figures of all blocks, one below the other."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    panels = [panel(block, column, samples) for block in blocks for column in block.columns]
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    drawn = [each for each in panels if each]
    return template.render(title=title, notes=wrap(note, NOTE_CHARS), panels=drawn, plot_px=PLOT_PX)


def save(name: str, picture: str) -> Path:
    """Write the picture: gives the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.svg"
    path.write_text(picture, encoding="utf-8")
    return path
