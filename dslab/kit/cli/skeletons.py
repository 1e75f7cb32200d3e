"""``dslab skeletons``: write the students' files from the solutions, or compare them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dslab.kit.authoring.handout import Handout, back_up, edited, handouts, write
from dslab.kit.cli.clock import stamp
from dslab.kit.cli.options import complete_lab
from dslab.kit.grader.course import Course, Lab, find_course


def skeletons(
    labs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LAB]...", help="Which labs; all if left out.", autocompletion=complete_lab),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; print what differs, and exit with 1 if anything does."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that were edited by hand; a backup is kept.")
    ] = False,
) -> None:
    """Write the students' files from the solutions.

    What stands in solutions/ between  # BEGIN SOLUTION step-1.3 "what to do"  and  # END SOLUTION
    becomes a TODO and a NotImplementedError in labs/. A file in labs/ that was edited by hand is named and
    left alone.

    Example:  [bold]dslab skeletons 1[/bold],  and before a commit  [bold]dslab skeletons --check[/bold]
    """
    course = find_course()
    chosen = [course.lab(key) for key in labs] if labs else course.labs()
    wrong = sum(_compare(course, lab) if check else _generate(course, lab, force=force) for lab in chosen)
    if wrong:
        raise typer.Exit(1)


def _compare(course: Course, lab: Lab) -> int:
    """Print what differs; return how many files do."""
    console = Console(highlight=False, soft_wrap=True)
    files = handouts(course, lab)
    diffs = [diff for diff in (handout.diff(course.root) for handout in files) if diff]
    for diff in diffs:
        console.print(diff, markup=False)
    if diffs:
        console.print(
            f"{lab.name}: {len(diffs)} of {len(files)} files differ from what the solution gives. "
            f"`dslab skeletons {lab.number}` writes them."
        )
    else:
        console.print(f"{lab.name}: {len(files)} files, all as the solution gives them.")
    return len(diffs)


def _generate(course: Course, lab: Lab, *, force: bool) -> int:
    """Write what may be written; return how many files were left alone."""
    console = Console(highlight=False, soft_wrap=True)
    files = handouts(course, lab)
    outdated = [handout for handout in files if handout.current != handout.given]
    by_hand = [handout for handout in outdated if edited(course, handout)]
    if by_hand and force:
        folder = back_up(course, by_hand, stamp())
        console.print(f"{lab.name}: kept {_names(by_hand)} as edited in {folder.relative_to(course.root)}")
    refused = [] if force else by_hand
    written = [handout for handout in outdated if handout not in refused]
    for handout in written:
        write(course, handout)
    console.print(f"{lab.name}: wrote {_names(written)}" if written else f"{lab.name}: nothing to write")
    for handout in refused:
        console.print(
            f"[red]{lab.name}: {escape(handout.name)} was edited by hand and is left as it is.[/red] "
            f"Carry the change over to solutions/{lab.name}/{escape(handout.name)}, or use --force."
        )
    return len(refused)


def _names(files: list[Handout]) -> str:
    return ", ".join(escape(handout.name) for handout in files)
