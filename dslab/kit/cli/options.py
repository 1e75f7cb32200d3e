"""What several commands take: a lab, a folder, a backend. And how the shell completes them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dslab.kit.errors import DslabError
from dslab.kit.grader.course import find_course
from dslab.kit.grader.rubric import read_rubric


class Backend(StrEnum):
    """Where a topology runs."""

    LOCAL = "local"
    DOCKER = "docker"


def complete_lab(incomplete: str) -> list[tuple[str, str]]:
    """The labs' numbers with their titles, for the shell."""
    try:
        labs = [(str(lab.number), lab.title) for lab in find_course().labs()]
    except (DslabError, OSError):  # a completion never prints an error into somebody's prompt
        return []
    return [(number, title) for number, title in labs if number.startswith(incomplete)]


def complete_step(incomplete: str) -> list[tuple[str, str]]:
    """The steps' ids with their titles, for the shell."""
    try:
        course = find_course()
        rubrics = [read_rubric(course.root / "labs" / name / "lab.toml") for name in course.lab_names]
    except (DslabError, OSError):
        return []
    steps = [(step.id, step.title) for rubric in rubrics for step in rubric.steps]
    return [(step_id, title) for step_id, title in steps if step_id.startswith(incomplete)]


LabArgument = Annotated[
    str,
    typer.Argument(
        metavar="LAB",
        help="A lab: its number, name or folder.",
        autocompletion=complete_lab,
        show_default=False,
    ),
]
StepArgument = Annotated[
    str,
    typer.Argument(
        metavar="STEP", help="A step, as in 1.3.", autocompletion=complete_step, show_default=False
    ),
]
SubmissionOption = Annotated[
    Path | None,
    typer.Option(
        "--submission", metavar="DIR", help="The files to run; the lab's own if left out.", show_default=False
    ),
]
BackendOption = Annotated[
    Backend, typer.Option("--backend", help="As processes of this machine, or as containers.")
]
