"""``dslab reset``: begin again, and lose nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dslab.kit.authoring.handout import Handout, back_up, handouts, write
from dslab.kit.cli.clock import stamp
from dslab.kit.cli.options import LabArgument
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import find_course


def reset(
    lab: LabArgument,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="One of its files; all if left out.", show_default=False),
    ] = None,
) -> None:
    """Put a lab's files back as they were given; yours are kept as a backup.

    Example:  [bold]dslab reset 1 echo_server.py[/bold]
    """
    course = find_course()
    chosen = course.lab(lab)
    files = _choose(handouts(course, chosen), file)
    changed = [handout for handout in files if handout.current != handout.given]
    console = Console(highlight=False, soft_wrap=True)
    if not changed:
        console.print(f"Nothing to reset: {_names(files)} {_is(files)} as given.", markup=False)
        return
    there = [handout for handout in changed if handout.path.exists()]
    if there:
        folder = back_up(course, there, stamp()) / chosen.name
        console.print(f"Kept your {_names(there)} in {folder.relative_to(course.root)}/", markup=False)
    for handout in changed:
        write(course, handout)
    console.print(f"{_names(changed)} {_is(changed)} as given.", markup=False)


def _choose(files: list[Handout], name: str | None) -> list[Handout]:
    if name is None:
        return files
    chosen = [handout for handout in files if name == handout.name or Path(name).resolve() == handout.path]
    if not chosen:
        raise UsageError(
            f"{name!r} is none of the files that you edit here.", remedy=f"They are: {_names(files)}."
        )
    return chosen


def _names(files: list[Handout]) -> str:
    return ", ".join(handout.name for handout in files)


def _is(files: list[Handout]) -> str:
    return "is" if len(files) == 1 else "are"
