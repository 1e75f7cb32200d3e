"""``dslab prove``: how often a lab's grader is wrong."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dslab.kit.authoring.mutants import Mutant
from dslab.kit.authoring.proof import Proof, markdown, stale_parts, weigh
from dslab.kit.authoring.submissions import EQUIVALENT, Sort, Submission, read_equivalent, submissions
from dslab.kit.authoring.trials import Trials, digest, files_digest, provided
from dslab.kit.cli.options import complete_lab
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import Course, Lab, find_course

PAGE = "PROOF.md"
SEED = 1


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is run: seeds for right submissions, mutants, runs at a time, whether from scratch."""

    repeat: int
    sample: int | None
    jobs: int
    fresh: bool


def prove(  # noqa: PLR0917 - Typer calls it by name
    labs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LAB]...", help="Which labs; all if left out.", autocompletion=complete_lab),
    ] = None,
    repeat: Annotated[int, typer.Option(metavar="K", min=1, help="Run right submissions with K seeds.")] = 5,
    sample: Annotated[
        int | None,
        typer.Option(
            "--mutants", metavar="N", min=0, help="Only N mutants, by chance; PROOF.md stays as it is."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(metavar="J", min=1, help="So many runs at a time.")] = os.cpu_count()
    or 2,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run everything again, whatever is remembered.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Run nothing; exit with 1 if a PROOF.md is older than its lab.")
    ] = False,
) -> None:
    """Measure how often a lab's grader is wrong.

    Grades the solution, the alternative, the skeleton, every wrong submission and cheat, and mutants of the
    solution. Right ones must pass, wrong ones must lose exactly the checks that they name, and mutants must
    be caught, but for those that equivalent.toml explains. The numbers go into labs/NN-name/PROOF.md.

    Example:  [bold]dslab prove 1 --repeat 20[/bold]
    """
    course = find_course()
    console = Console(highlight=False, soft_wrap=True)
    chosen = [course.lab(key) for key in labs] if labs else list(course.labs())
    effort = Effort(repeat, sample, jobs, fresh)
    good = [
        _is_fresh(course, lab, console) if check else _prove(course, lab, console, effort) for lab in chosen
    ]
    if not all(good):
        raise typer.Exit(1)


def _prove(course: Course, lab: Lab, console: Console, effort: Effort) -> bool:
    """Prove one lab; whether its grader reaches the goal."""
    tried = _load(course, lab)
    reasons = read_equivalent(_equivalent(course, lab), _mutants(tried))
    if effort.sample is not None:
        tried = _sampled(tried, effort.sample)
    right = {Sort.SOLUTION, Sort.ALTERNATIVE}
    wanted = [(one, SEED + n) for one in tried for n in range(effort.repeat if one.sort in right else 1)]
    trials = Trials(course, lab, jobs=effort.jobs, fresh=effort.fresh)
    with _progress(console) as progress:
        task = progress.add_task(lab.name, total=len(wanted), now="")
        outcomes = trials.run(wanted, lambda one: progress.update(task, advance=1, now=one.name))
    proof = weigh(lab, outcomes, reasons)
    if effort.sample is None:
        page = markdown(proof, lab.title, inputs(course, lab, tried))
        (lab.folder / PAGE).write_text(page, encoding="utf-8")
    _tell(console, proof, trials.ran, effort.sample is None)
    return not proof.shortcomings


def _load(course: Course, lab: Lab) -> list[Submission]:
    if not (course.root / "solutions" / lab.name).is_dir():
        raise UsageError(f"There is no solutions/{lab.name}/ in {course.root}, so there is nothing to try.")
    return submissions(course, lab)


def _equivalent(course: Course, lab: Lab) -> Path:
    return course.root / "solutions" / lab.name / EQUIVALENT


def _mutants(tried: list[Submission]) -> list[Mutant]:
    return [one.mutant for one in tried if one.mutant]


def _sampled(tried: list[Submission], count: int) -> list[Submission]:
    """Everything but mutants, and so many of them, always the same."""
    mutants = [one for one in tried if one.mutant]
    chosen = random.Random(SEED).sample(mutants, min(count, len(mutants)))
    return [one for one in tried if not one.mutant or one in chosen]


def inputs(course: Course, lab: Lab, tried: list[Submission]) -> dict[str, str]:
    """What a proof is made from: a digest of each part."""
    equivalent = _equivalent(course, lab)
    parts = {
        str(sort): digest(f"{t.name} {files_digest(t)}" for t in tried if t.sort is sort) for sort in Sort
    }
    said = equivalent.read_text(encoding="utf-8") if equivalent.is_file() else ""
    return {"lab": digest(provided(lab)), **parts, "equivalent": digest([said])}


def _is_fresh(course: Course, lab: Lab, console: Console) -> bool:
    path = lab.folder / PAGE
    name = path.relative_to(course.root)
    if not path.is_file():
        console.print(f"{name} is missing. Make it with: dslab prove {lab.number}")
        return False
    stale = stale_parts(path.read_text(encoding="utf-8"), inputs(course, lab, _load(course, lab)))
    if stale:
        console.print(
            f"{name} is stale: {', '.join(stale)} changed since. Make it anew with: dslab prove {lab.number}"
        )
    else:
        console.print(f"{name} is of what there is now.")
    return not stale


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(
        *columns,
        TextColumn("{task.fields[now]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _as_entry(mutant: Mutant) -> str:
    """The mutant as equivalent.toml names it."""
    fields = {"file": mutant.file, "function": mutant.function, "change": mutant.change}
    number = f", number = {mutant.number}" if mutant.number > 1 else ""
    return ", ".join(f"{name} = {json.dumps(value)}" for name, value in fields.items()) + number


def _tell(console: Console, proof: Proof, ran: int, written: bool) -> None:
    console.print(f"[bold]{proof.lab}[/bold]: {ran} runs; what was remembered did not run again")
    console.print(
        f"false failures   {len(proof.false_failures)} in {proof.right_runs} runs of right submissions"
    )
    for what, (count, bad) in {"wrong": proof.wrong, "cheats": proof.cheats}.items():
        console.print(f"{what:<16} {count - len(bad)} of {count} as they should")
    made = len(proof.caught) + len(proof.survivors) + len(proof.undecided)
    console.print(f"mutants          {len(proof.caught)} of {made} caught, {proof.kill_rate:.1%}")
    for mutant in (*proof.survivors, *proof.undecided):
        console.print(f"  survived  {_as_entry(mutant)}   (line {mutant.line})", markup=False)
    for line in proof.shortcomings:
        console.print(f"  {line}", style="red", markup=False)
    if written:
        console.print(f"labs/{proof.lab}/{PAGE} is written.")
