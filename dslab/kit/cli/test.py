"""``dslab test``: grade a lab."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dslab.kit.cli.hints import told
from dslab.kit.cli.options import Backend, BackendOption, LabArgument, SubmissionOption, complete_step
from dslab.kit.grader.course import find_course
from dslab.kit.grader.request import make_request


def test(  # noqa: PLR0917 - Typer calls it by name
    context: typer.Context,
    lab: LabArgument,
    submission: SubmissionOption = None,
    backend: BackendOption = Backend.LOCAL,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Repeat the run that printed it.", show_default=False)
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N.M",
            help="Only this step, and what it needs. May be repeated.",
            autocompletion=complete_step,
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[
        int, typer.Option(metavar="K", min=1, help="Run it all K times, each with another seed.")
    ] = 1,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write every report format there.", show_default=False),
    ] = None,
    broker: Annotated[str, typer.Option(help="embedded; or rabbitmq, an installed one.")] = "embedded",
    checks: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Add private checks: a file or a folder.", show_default=False),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the working folders of checks that passed, too.")
    ] = False,
) -> None:
    """Grade a lab: run its checks against your files.

    Exit status: 0 full marks; 1 some check failed; 2 the command or a file of the lab is wrong; 3 some check
    ended in error (the machine or dslab broke); 130 Ctrl-C.

    Example:  [bold]dslab test 1 --step 1.3[/bold]
    """
    course = find_course()
    request = make_request(
        lab,
        course=course,
        submission=submission,
        seed=seed,
        backend=backend.value,
        broker=broker,
        step=step or (),
        report=report,
        checks=checks,
        keep=keep,
    )
    request = request.with_hints(told(course, request.lab))
    console = Console(file=sys.stdout, highlight=False)  # this stdout: pytest puts another in its place
    # What runs checks takes a quarter of a second to import: not before the request is known to be right.
    if repeat > 1:
        from dslab.kit.grader.repeat import repeat_run

        raise typer.Exit(repeat_run(request, repeat, console))
    from dslab.kit.grader.live import TerminalWatcher
    from dslab.kit.grader.run import grade

    watcher = TerminalWatcher(console, debug=bool((context.obj or {}).get("debug")))
    try:
        result = grade(request, watcher)
    finally:
        watcher.stop()
    raise typer.Exit(result.exit_status)
