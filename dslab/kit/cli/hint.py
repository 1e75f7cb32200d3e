"""``dslab hint``: a little more each time."""

from __future__ import annotations

from textwrap import fill
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dslab.kit.cli.hints import tell_one_more, told
from dslab.kit.cli.options import StepArgument
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import Course, Lab, find_course
from dslab.kit.grader.rubric import Step


def hint(
    step: StepArgument,
    again: Annotated[bool, typer.Option("--again", help="Only what was told so far.")] = False,
) -> None:
    """Show a step's hint; each time you ask, it tells more.

    How many hints you asked for stands in the result of your runs. They cost no points.

    Example:  [bold]dslab hint 1.3[/bold]
    """
    course = find_course()
    lab, found = find_step(course, step)
    level = told(course, lab).get(found.id, 0) if again else tell_one_more(course, lab, found.id)
    show(found, level)


def show(step: Step, level: int) -> None:
    """Print the first `level` hints of a step."""
    console = Console(highlight=False)
    console.print(f"[bold]Step {step.id}, {escape(step.title)}[/bold]")
    for number, text in enumerate(step.hints[:level], 1):
        shown = f"Hint {number} of {len(step.hints)}:\n{_indented(text, console.width)}"
        console.print(shown, markup=False, style=None if number == level else "dim")
    left = len(step.hints) - level
    if not level:
        console.print("[dim]Nothing was told yet.[/dim]")
    if left:
        console.print(f"[dim]dslab hint {step.id} tells more; {left} left.[/dim]")
    else:
        console.print("[dim]That is all there is.[/dim]")


def _indented(text: str, width: int) -> str:
    """Wrap each of its lines by itself, so that a line of code in a hint stays one."""
    lines = text.strip().splitlines()
    return "\n".join(fill(line, width, initial_indent="  ", subsequent_indent="  ") for line in lines)


def find_step(course: Course, step_id: str) -> tuple[Lab, Step]:
    """The step of that id, and its lab.

    Raises:
        UsageError: There is none; the message lists those of the lab, or the labs.
    """
    labs = course.labs()
    for lab in labs:
        for step in lab.rubric.steps:
            if step.id == step_id:
                return lab, step
    number = step_id.partition(".")[0]
    for lab in labs:
        if str(lab.number) == number:
            steps = ", ".join(step.id for step in lab.rubric.steps)
            raise UsageError(f"Lab {number} has no step {step_id!r}.", remedy=f"Its steps are: {steps}.")
    listed = ", ".join(course.lab_names) or "none"
    raise UsageError(
        f"There is no step {step_id!r}.", remedy=f"A step is written as in 1.3; the labs are: {listed}."
    )
