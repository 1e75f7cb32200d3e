"""``dslab progress``: how far one has come."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dslab.kit.cli.clock import ago
from dslab.kit.cli.hints import told
from dslab.kit.grader.course import Course, find_course
from dslab.kit.grader.history import Standing, standings
from dslab.kit.grader.verdict import number, shown


def progress(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object on stdout.")] = False,
) -> None:
    """Show every lab's points and when you last ran it.

    A step counts as it was in the last run that included it.

    Example:  [bold]dslab progress[/bold],  or for a program  [bold]dslab progress --json[/bold]
    """
    course = find_course()
    found = standings(course)
    if as_json:
        typer.echo(json.dumps({"labs": [_to_json(course, standing) for standing in found]}, indent=2))
        return
    Console(highlight=False).print(_table(found))


def _table(found: list[Standing]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_footer=len(found) > 1)
    earned = sum((one.points for one in found), Fraction())
    possible = sum((one.lab.rubric.max_score for one in found), Fraction())
    table.add_column("Lab", "all", no_wrap=True)
    table.add_column("Points", f"{shown(earned)} of {shown(possible)}", no_wrap=True)
    table.add_column("Steps passed")
    table.add_column("Next", no_wrap=True)
    table.add_column("Last run", no_wrap=True)
    for standing in found:
        table.add_row(
            escape(standing.lab.name),
            f"{shown(standing.points)} of {shown(standing.lab.rubric.max_score)}",
            " ".join(standing.passed) or "none",
            standing.next_step or "done",
            ago(standing.last_run) if standing.last_run else "never",
        )
    return table


def _to_json(course: Course, standing: Standing) -> dict[str, object]:
    hints = told(course, standing.lab)
    return {
        "lab": standing.lab.name,
        "title": standing.lab.title,
        "points": number(standing.points),
        "max_points": number(standing.lab.rubric.max_score),
        "last_run": standing.last_run.isoformat() if standing.last_run else None,
        "steps": [
            {
                "id": step.id,
                "title": step.title,
                "points": number(step.points),
                "earned": number(standing.earned[step.id]) if step.id in standing.earned else None,
                "hints_used": hints.get(step.id, 0),
            }
            for step in standing.lab.rubric.steps
        ],
    }
