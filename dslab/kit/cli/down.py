"""``dslab down``: end what ``dslab up`` runs, and what earlier runs left behind."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dslab.kit.cli.options import complete_lab
from dslab.kit.cli.remote import Remote, running, wait_for_end
from dslab.kit.errors import DslabError, KitError
from dslab.kit.grader.course import Course, find_course
from dslab.kit.topology import processes
from dslab.kit.topology.runfolder import is_alive

END_S = 20.0
KILL_S = 5.0


def down(
    lab: Annotated[
        str | None,
        typer.Argument(
            metavar="[LAB]", help="Only this lab's.", autocompletion=complete_lab, show_default=False
        ),
    ] = None,
) -> None:
    """End the topology that runs, and clean up after earlier ones.

    Example:  [bold]dslab down[/bold]
    """
    course = find_course()
    name = course.lab(lab).name if lab else None
    chosen = [one for one in running(course) if name in {None, one.lab}]
    console = Console(highlight=False)
    for remote in chosen:
        with suppress(DslabError):  # one that does not answer is ended the other way
            remote.ask("down")
    for remote in wait_for_end(chosen, END_S, time.sleep):
        _kill(remote)
    for remote in chosen:
        console.print(f"{remote.lab}: ended.")
    swept = sweep_processes(course)
    if swept:
        console.print(f"Ended {swept} processes that earlier runs had left behind.")
    sweep_containers()
    if not chosen and not swept:
        console.print("Nothing runs.")


def _kill(remote: Remote) -> None:
    """End a ``dslab up`` that does not end; its keeper cleans up after it."""
    pid = json.loads((remote.folder / "run.json").read_text(encoding="utf-8"))["pids"][0]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    if wait_for_end([remote], KILL_S, time.sleep):
        raise KitError(f"{remote.lab} does not end.", remedy=f"Its process is {pid}: kill -9 {pid}")


def sweep_processes(course: Course) -> int:
    """End what processes of this course's dead runs are still there, and count them."""
    runs = course.root / ".dslab" / "runs"
    # A run that begins just now has no lock yet, and no processes: so these are looked for first.
    found = {folder: processes.marked(f"{folder.name}/") for folder in _folders(runs)}
    dead = [folder for folder, pids in found.items() if pids and not is_alive(folder)]
    for folder in dead:
        left = processes.end_marked(f"{folder.name}/")
        if left:
            raise KitError(f"These processes do not end: {', '.join(map(str, sorted(left)))}.")
    return sum(len(found[folder]) for folder in dead)


def _folders(runs: Path) -> list[Path]:
    return sorted(folder for folder in runs.iterdir() if folder.is_dir()) if runs.is_dir() else []


def sweep_containers() -> None:
    """Remove containers and networks of dead runs, where a Docker engine answers."""
    from dslab.kit.cli.looks_optional import engine_answers

    if engine_answers():
        from dslab.kit.topology.docker_engine import Engine

        Engine().sweep_dead_runs()
