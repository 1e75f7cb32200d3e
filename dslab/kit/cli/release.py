"""``dslab release``: what students get, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dslab.kit.authoring.release import make_release, write_release
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import find_course


def release(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The archive to write.", show_default=False)],
) -> None:
    """Pack what students get, without any solution.

    The finished archive is searched for every region of every solution; if one is found, nothing is written.
    The same course gives the same bytes.

    Example:  [bold]dslab release course.zip[/bold]
    """
    if out.suffix != ".zip":
        raise UsageError(f"{out} is no zip file's name.", remedy="As in: dslab release course.zip")
    made = make_release(find_course())
    write_release(made, out)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{out}: {made.files} files, {len(made.archive) / 1e3:.0f} kB", markup=False)
    console.print(f"Searched for {made.searched} runs of solution lines: none in it.")
    console.print(f"SHA-256 {made.digest}")
