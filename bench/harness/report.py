"""Tables for the terminal, and the same as JSON in ``bench/results/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.harness.goals import Goal
from bench.harness.machine import describe
from bench.harness.rounds import Samples
from bench.harness.spread import ratios, significant, spread

RESULTS = Path(__file__).parents[1] / "results"
ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Column:
    """A figure in a table.

    Attributes:
        figure: Its name in the samples.
        heading: What stands above it, with the unit.
        scale: What it is multiplied by, from the samples' unit to the heading's.
    """

    figure: str
    heading: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Block:
    """A table: what was measured in one situation.

    Attributes:
        title: The situation.
        columns: The figures.
        reference: The row that the others are compared with.
    """

    title: str
    columns: tuple[Column, ...]
    reference: str

    def rows(self, samples: Samples) -> list[str]:
        """Give the rows that have any of its figures."""
        return [
            row for row in samples.values if any(samples.has(row, column.figure) for column in self.columns)
        ]


def table(block: Block, samples: Samples) -> Table:
    """Show medians, the first one's quartiles, and ratios to the reference, taken inside each round."""
    shown = _table(block.title)
    shown.add_column("", no_wrap=True)
    for number, column in enumerate(block.columns):
        shown.add_column(column.heading, justify="right", no_wrap=True)
        if not number:
            shown.add_column("quartiles", justify="right", style="dim")
        shown.add_column("ratio", justify="right", no_wrap=True)
    for row in block.rows(samples):
        first, *others = (_cells(row, column, block.reference, samples) for column in block.columns)
        rest = [cell for median, _, ratio in others for cell in (median, ratio)]
        shown.add_row(row, *first, *rest, style="bold" if row == block.reference else None)
    return shown


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)


def _cells(row: str, column: Column, reference: str, samples: Samples) -> tuple[str, str, str]:
    """Give median, quartiles, ratio."""
    if not samples.has(row, column.figure):
        return ABSENT, "", ""
    values = samples.of(row, column.figure)
    low, median, high = (significant(value * column.scale) for value in spread(values))
    if not samples.has(reference, column.figure):
        return median, f"{low} to {high}", ABSENT
    ratio = spread(ratios(values, samples.of(reference, column.figure))).median
    return median, f"{low} to {high}", significant(ratio)


def goals_table(goals: Sequence[Goal], samples: Samples) -> Table:
    """Show what is promised, and what came out."""
    shown = _table("What is promised")
    shown.add_column("")
    shown.add_column("measured", justify="right", no_wrap=True)
    shown.add_column("quartiles", justify="right", style="dim")
    shown.add_column("goal", justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for goal in goals:
        measured = goal.measured(samples)
        if measured is None:
            shown.add_row(goal.text, "left out", "", bound(goal), "")
            continue
        low, median, high = map(significant, measured)
        verdict = {True: "met", False: "missed", None: ""}[goal.is_met(measured)]
        unit = f" {goal.unit}" if goal.unit else ""
        shown.add_row(goal.text, f"{median}{unit}", f"{low} to {high}", bound(goal), verdict)
    return shown


def bound(goal: Goal) -> str:
    """Write a goal's bound."""
    if goal.at_most is not None:
        return f"at most {goal.at_most:,.4g}"
    return "" if goal.at_least is None else f"at least {goal.at_least:,.6g}"


def how_it_was_measured(samples: Samples) -> str:
    """Say how many rounds count, and why others do not."""
    said = f"Medians of {samples.rounds} interleaved rounds; ratios taken inside a round. "
    if samples.loaded:
        return said + "Rounds count that others disturbed (--loaded): not to be quoted."
    if samples.not_counted or samples.waits:
        said += f"{samples.not_counted} more do not count, because others used the machine; "
        said += f"{samples.waits} times a round was put off for that."
    return said


def show(blocks: Sequence[Block], goals: Sequence[Goal], samples: Samples, console: Console) -> None:
    """Print everything."""
    for block in blocks:
        console.print(table(block, samples))
    if goals:
        console.print(goals_table(goals, samples))
    console.print(how_it_was_measured(samples), highlight=False)
    for who, why in samples.left_out.items():
        console.print(f"{who} is left out: {why}", highlight=False, markup=False)


def save(name: str, goals: Sequence[Goal], samples: Samples) -> Path:
    """Write everything as JSON: gives the file."""
    report = {
        "machine": describe(),
        "rounds": samples.rounds,
        "rounds_not_counted": samples.not_counted,
        "loaded": samples.loaded,
        "left_out": samples.left_out,
        "goals": [_goal(goal, samples) for goal in goals],
        "samples": samples.values,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def _goal(goal: Goal, samples: Samples) -> dict[str, object]:
    measured = goal.measured(samples)
    said: dict[str, object] = {"text": goal.text, "bound": bound(goal), "unit": goal.unit}
    if measured is not None:
        said |= {**measured._asdict(), "met": goal.is_met(measured)}
    return said
