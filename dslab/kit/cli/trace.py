"""``dslab trace``: what crossed the links in an earlier run."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dslab.kit.cli.clock import ago
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import find_course
from dslab.kit.trace.runs import DRAWN, PICTURE, Run, TracedCheck, is_run, load, runs

LAST = "last"
WIDE = 100  # columns
STYLES = {"pass": "green", "fail": "red", "error": "yellow"}

T = TypeVar("T")


def _complete_run(incomplete: str) -> list[str]:
    names = [LAST, *(run.name for run in runs(_folder()))]
    return [name for name in names if name.startswith(incomplete)]


def trace(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run: [bold]last[/bold], the beginning or the end of its name, or its folder.",
            autocompletion=_complete_run,
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Argument(
            metavar="CHECK",
            help="A check, or a part of its name; else the first one that failed.",
            show_default=False,
        ),
    ] = None,
    in_browser: Annotated[bool, typer.Option("--open", help="Open the picture in a browser.")] = False,
    in_terminal: Annotated[bool, typer.Option("--text", help="Draw it here, in the terminal.")] = False,
) -> None:
    """Show who said what to whom in an earlier run.

    Without RUN, lists the runs; with RUN alone, its checks.

    Example:  [bold]dslab trace last --open[/bold],  or in the terminal  [bold]dslab trace last --text[/bold]
    """
    console = Console(highlight=False)
    wanted = in_browser or in_terminal or check is not None
    if run is None and not wanted:
        _list_runs(console, runs(_folder()))
        return
    found = find_run(run or LAST)
    if not wanted:
        _list_checks(console, found)
        return
    chosen = find_check(found, check)
    if in_terminal:
        _draw_here(console, found, chosen)
    if in_browser or not in_terminal:
        path = draw(found, chosen)
        console.print(str(path), markup=False, soft_wrap=True)
        if in_browser and not webbrowser.open(path.as_uri()):
            raise UsageError("No browser could be started.", remedy=f"Open this file in one: {path}")


def find_run(key: str) -> Run:
    """The run that `key` means.

    Raises:
        UsageError: There is none, or more than one.
    """
    if is_run(Path(key)):
        return load(Path(key).resolve())
    found = runs(_folder())
    if not found:
        raise UsageError(f"There are no runs in {_folder()}.", remedy="Make one:  dslab test 1")
    if key == LAST:
        return found[0]
    return _only(key, "run", found, [run.name for run in found])


def find_check(run: Run, key: str | None) -> TracedCheck:
    """The check of that run that `key` means; without one, the first that failed, or the only one.

    Raises:
        UsageError: There is none, or more than one.
    """
    checks = run.checks
    if not checks:
        raise UsageError(f"The run {run.name} left no trace.", remedy="Run it again:  dslab test")
    if key is not None:
        # The function's name is test_...; nobody types that.
        names = [check.name.removeprefix("test_") for check in checks]
        return _only(key.removeprefix("test_"), f"check in {run.name}", checks, names)
    failed = [check for check in checks if check.verdict in DRAWN]
    if not failed and len(checks) > 1:
        raise UsageError(
            f"No check of {run.name} failed.",
            remedy=f"Name one of them: {', '.join(check.name for check in checks)}.",
        )
    return (failed or checks)[0]


def draw(run: Run, check: TracedCheck) -> Path:
    """Draw a check's picture, anew, since the result may say more than was known when it was first drawn."""
    from dslab.kit.trace.diagram import write_html

    path = check.folder / PICTURE
    write_html(check.events, (), check.name, path, None, check.caption(run))
    return path


def _folder() -> Path:
    return find_course().root / ".dslab" / "runs"


def _only(key: str, what: str, things: Sequence[T], names: Sequence[str]) -> T:
    """The one thing whose name is `key`, or else begins or ends with it, or else has it in the middle."""
    kinds = (str.__eq__, lambda name, key: name.startswith(key) or name.endswith(key), str.__contains__)
    found = ([index for index, name in enumerate(names) if fits(name, key)] for fits in kinds)
    matching = next(filter(None, found), [])
    if len(matching) == 1:
        return things[matching[0]]
    if not matching:
        raise UsageError(f"There is no {what} called {key!r}.", remedy=f"There are: {_listed(names)}.")
    raise UsageError(
        f"{key!r} fits more than one {what}.",
        remedy=f"Type more of one of these: {_listed(names[index] for index in matching)}.",
    )


def _listed(names: Iterable[str], most: int = 12) -> str:
    known = list(names)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more


def _list_runs(console: Console, found: Sequence[Run]) -> None:
    if not found:
        console.print("There are no runs yet. Make one:  [bold]dslab test 1[/bold]")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    wide = console.width >= WIDE  # else the run's name has to say which lab, and a number which checks
    for heading in ("Run", "When", *(["Lab"] if wide else []), "Backend", "Seed", "Score"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Failed checks" if wide else "Failed")
    for run in found:
        failed = [name.removeprefix("test_") for name in run.failed]
        table.add_row(
            escape(run.name),
            ago(run.started) if run.started else "",
            *([escape(run.lab)] if wide else []),
            escape(str(run.facts.get("backend", ""))),
            escape(str(run.facts.get("seed", ""))),
            _score(run),
            escape(_listed(failed, most=3) if wide else str(len(failed) or "")),
        )
    console.print(table)
    console.print(
        "[dim]dslab trace RUN lists its checks, dslab trace last --open shows the newest failure.[/dim]"
    )


def _score(run: Run) -> str:
    if "score" not in run.result:
        return "unfinished"
    return f"{run.result['score']} of {run.result.get('max_score')}"


def _list_checks(console: Console, run: Run) -> None:
    checks = run.checks
    if not checks:
        console.print(f"The run {escape(run.name)} left no trace.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Step", "Check", "Verdict", "Property"):
        table.add_column(heading, no_wrap=heading != "Property")
    for check in checks:
        style = STYLES.get(check.verdict, "dim")
        verdict = f"[{style}]{escape(check.verdict)}[/{style}]"
        statement = str(check.result.get("property") or "")
        table.add_row(
            escape(check.step), escape(check.name.removeprefix("test_")), verdict, escape(statement)
        )
    console.print(table)
    console.print(f"[dim]dslab trace {escape(run.name)} CHECK --open shows one of them.[/dim]")


def _draw_here(console: Console, run: Run, check: TracedCheck) -> None:
    from dslab.kit.trace.text import draw_text

    caption = check.caption(run)
    console.print(f"[bold]{escape(caption.statement or check.name)}[/bold]")
    if caption.message:
        console.print(f"[{STYLES.get(check.verdict, 'dim')}]{escape(caption.message)}[/]")
    console.print()
    console.print(draw_text(check.events, width=console.width), soft_wrap=True)
