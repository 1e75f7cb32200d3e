"""``dslab docs``: the generated blocks of the course's Markdown pages."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dslab.kit.authoring.docs import SCREEN_COLUMNS, pages, refresh
from dslab.kit.grader.course import Course, find_course


def docs(
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; show what is stale, and exit with 1 if anything is."),
    ] = False,
) -> None:
    """Refresh included code, tables, outputs and pictures in the Markdown pages.

    Outputs and pictures hold times and ports: they are made anew by a plain run, and not compared by --check.

    Example:  [bold]dslab docs --check[/bold]
    """
    course = find_course()
    console = Console()
    stale = [page for page in pages(course) if not _is_fresh(page, course, check, console)]
    if check and stale:
        console.print(f"{len(stale)} of the pages are stale. Refresh them: make docs")
        raise typer.Exit(1)


def _is_fresh(page: Path, course: Course, check: bool, console: Console) -> bool:
    before = page.read_text(encoding="utf-8")
    after = refresh(page, course, None if check else lambda command: _run(command, course.root))
    name = str(page.relative_to(course.root))
    if before == after:
        return True
    if check:
        diff = difflib.unified_diff(
            before.splitlines(), after.splitlines(), name, f"{name} (fresh)", lineterm=""
        )
        console.print("\n".join(diff), markup=False, highlight=False)
    else:
        page.write_text(after, encoding="utf-8")
        console.print(f"Refreshed {name}")
    return False


def _run(command: str, root: Path) -> str:
    """Run a command of a page as a reader would, in a terminal of a known width, and give what it printed."""
    environment = os.environ | {
        "COLUMNS": str(SCREEN_COLUMNS),
        "FORCE_COLOR": "1",
        "TTY_INTERACTIVE": "0",  # colours, but no line that moves
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    done = subprocess.run(
        command,
        shell=True,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode()
