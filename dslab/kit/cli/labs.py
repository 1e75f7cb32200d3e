"""``dslab labs``: what there is to do."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dslab.kit.errors import UsageError
from dslab.kit.grader.course import find_course
from dslab.kit.grader.history import Standing, standings
from dslab.kit.grader.verdict import shown


def labs() -> None:
    """List the labs: chapter, minutes, points, your last score.

    Example:  [bold]dslab labs[/bold]
    """
    course = find_course()
    found = standings(course)
    if not found:
        raise UsageError(f"There are no labs in {course.root / 'labs'}.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header, justify in (("Lab", "right"), ("Title", "left"), ("Chapter", "left"), ("Time", "right")):
        table.add_column(header, justify=justify, no_wrap=header != "Title")  # type: ignore[arg-type]
    table.add_column("Points", justify="right")
    table.add_column("Yours", justify="right")
    for standing in found:
        table.add_row(*_row(standing))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\nBegin with labs/{found[0].lab.name}/README.md, then: dslab test {found[0].lab.number}")


def _row(standing: Standing) -> tuple[str, ...]:
    rubric = standing.lab.rubric
    return (
        str(standing.lab.number),
        escape(rubric.title),
        escape(rubric.chapter),
        f"{rubric.minutes // 60} h {rubric.minutes % 60:02} min"
        if rubric.minutes >= 60
        else f"{rubric.minutes} min",
        shown(rubric.max_score),
        shown(standing.points) if standing.last_run else "-",
    )
