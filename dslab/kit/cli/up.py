"""``dslab up``: a lab's topology in the foreground, to play with."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dslab.kit.cli.options import Backend, BackendOption, LabArgument, SubmissionOption
from dslab.kit.cli.remote import served
from dslab.kit.cli.stage import LinkView, NodeView, Stage
from dslab.kit.cli.tail import Tails
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import Course, Lab, find_course
from dslab.kit.topology.backend import BackendName
from dslab.kit.topology.compose import read
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.running import open_topology

REFRESH_S = 0.25
CHECK = "up"  # the name of the run folder's one part
Stop = SimpleQueue[None]
"""Not an event: a signal that comes while one is waited for finds its lock in a state that nobody expects."""

STATE_STYLES = {"running": "green", "paused": "yellow", "failed": "red", "not started": "dim"}


def up(
    lab: LabArgument,
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE]...", help="Which; those without a profile if left out."),
    ] = None,
    submission: SubmissionOption = None,
    backend: BackendOption = Backend.LOCAL,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Repeat the faults of an earlier run.", show_default=False)
    ] = None,
) -> None:
    """Run a lab's topology and show its services and links as they change.

    It runs until Ctrl-C. From a second terminal, `dslab fault` breaks and heals it, and `dslab down` ends it.
    What crosses the links is recorded: `dslab trace last` draws it afterwards.

    Example:  [bold]dslab up 1 --submission solutions/01-sockets[/bold]
    """
    course = find_course()
    chosen = course.lab(lab)
    folder = submission or chosen.folder
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {folder}.", remedy="--submission names the folder of your files."
        )
    seed = secrets.randbelow(2**31) if seed is None else seed
    _play(course, chosen, services or [], folder=folder.resolve(), backend=backend.value, seed=seed)


def _play(
    course: Course, lab: Lab, services: list[str], *, folder: Path, backend: BackendName, seed: int
) -> None:
    """Run the topology until Ctrl-C, a signal or ``dslab down``."""
    spec = read(lab.compose, os.environ)
    console = Console(file=sys.stdout, highlight=False)
    with ExitStack() as stack:
        run = stack.enter_context(
            RunFolder.create(course.root, lab=str(lab.number), seed=seed, backend=backend)
        )
        stop = stack.enter_context(_stopping())
        topology = open_topology(
            spec,
            backend=backend,
            run=run,
            check=CHECK,
            seed=seed,
            submission=folder,
            provided=lab.folder,
            edited=lab.rubric.files,
        )
        stage = Stage(stack.enter_context(topology))
        console.print(f"Starting {lab.name}   seed {seed}, {backend}", style="dim")
        with suppress(KeyboardInterrupt):
            stage.start(services)
            stack.enter_context(served(run.path, lab.name, lambda request: _do(stage, stop, request)))
            _show(stage, stop, console, topology.folder)
    console.print(f"All ended.   dslab trace {run.path.name}", style="dim")


def _do(stage: Stage, stop: Stop, request: dict[str, Any]) -> Any:
    """Carry out what another terminal asks for."""
    match request:
        case {"do": "act", "target": str(target), "words": [*words]}:
            return stage.act(target, [str(word) for word in words])
        case {"do": "names"}:
            return {
                "links": [link.name for link in stage.links()],
                "services": [node.name for node in stage.nodes()],
            }
        case {"do": "down"}:
            stop.put(None)
            return "It ends."
        case _:
            raise UsageError(f"dslab up cannot {request['do']!r}.")


@contextmanager
def _stopping() -> Iterator[Stop]:
    """What SIGTERM and SIGHUP put something into, to end it as Ctrl-C would."""
    stop: Stop = SimpleQueue()
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda *_: stop.put(None)) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _is_over(stop: Stop) -> bool:
    """Wait until something is to be shown anew; or until it is to end."""
    with suppress(Empty):
        stop.get(timeout=REFRESH_S)
        return True
    return False


def _show(stage: Stage, stop: Stop, console: Console, folder: Path) -> None:
    """Show services and links, and what the services print above them, until it is to stop."""
    tails = Tails(folder, [node.name for node in stage.nodes()])
    if not console.is_terminal:
        console.print(picture(stage))
        while not _is_over(stop):
            _print_lines(console, tails)
        return
    with Live(picture(stage), console=console, auto_refresh=False, transient=True) as live:
        while not _is_over(stop):
            _print_lines(console, tails)
            live.update(picture(stage), refresh=True)


def _print_lines(console: Console, tails: Tails) -> None:
    for node, line in tails.new_lines():
        console.print(Text.assemble((f"{node} | ", "cyan"), line), soft_wrap=True)


def picture(stage: Stage) -> RenderableType:
    """Both tables, and what to do next."""
    nodes = stage.nodes()
    hint = Text("Ctrl-C ends it.   In another terminal: dslab fault --help", style="dim")
    problems = [Text(f"{node.name}: {node.problem}", style="red") for node in nodes if node.problem]
    return Group("", node_table(nodes), "", link_table(stage.links()), "", *problems, hint)


def node_table(nodes: list[NodeView]) -> Table:
    """The services."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("service", "state", "reach it at"):
        table.add_column(header, no_wrap=True)
    for node in nodes:
        style = STATE_STYLES.get(node.state, "red")
        table.add_row(node.name, Text(node.state, style=style), "  ".join(map(str, node.reach)))
    return table


def link_table(links: list[LinkView]) -> Table:
    """The links: connections open and ever, bytes each way, standing faults, and how often some happened."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("link", no_wrap=True)
    for header in ("open", "ever", "bytes ->", "bytes <-"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("faults")
    for link in links:
        if link.idle:
            continue
        stats = link.stats
        happened = ", ".join(f"{kind} {count} times" for kind, count in stats.injected.items() if count)
        faults = Text("; ".join(stats.faults), style="yellow")
        table.add_row(
            link.name,
            str(stats.open_connections),
            str(stats.connections),
            f"{stats.forward_bytes:,}",
            f"{stats.backward_bytes:,}",
            faults.append(f"  ({happened})" if happened else "", style="dim"),
        )
    return table
