"""The table of commands, and the Typer group that imports a command's module only when it is called.

``dslab --help`` and the shell's completion of command names are answered from this table alone: importing
pytest, docker and the rest for them would make every press of the Tab key wait.

Source: Click's documentation, *Complex Applications*, "Lazily Loading Subcommands".
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from collections.abc import Sequence

WORKING = "Working on a lab"
WATCHING = "Running a topology, breaking it, seeing what happened"
MACHINE = "Your machine"
AUTHORING = "Making a course"


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the table.

    Attributes:
        name: What is typed after ``dslab``. The module has a function of this name, or a Typer app ``app``.
        summary: The line in ``dslab --help``; the command's docstring begins with the same words.
        panel: The group of commands it stands in.
    """

    name: str
    summary: str
    panel: str

    @property
    def module(self) -> str:
        """Where the command is."""
        return f"dslab.kit.cli.{self.name}"


COMMANDS: Sequence[Command] = (
    Command("labs", "List the labs: chapter, minutes, points, your last score.", WORKING),
    Command("test", "Grade a lab: run its checks against your files.", WORKING),
    Command("watch", "Grade a lab again on every save, the failing step first.", WORKING),
    Command("hint", "Show a step's hint; each time you ask, it tells more.", WORKING),
    Command("progress", "Show every lab's points and when you last ran it.", WORKING),
    Command("reset", "Put a lab's files back as they were given; yours are kept as a backup.", WORKING),
    Command("up", "Run a lab's topology and show its services and links as they change.", WATCHING),
    Command("fault", "Break a link or a service of the topology that runs, or heal it.", WATCHING),
    Command("down", "End the topology that runs, and clean up after earlier ones.", WATCHING),
    Command("trace", "Show who said what to whom in an earlier run.", WATCHING),
    Command("doctor", "Look over this machine: what works, what is missing, how to get it.", MACHINE),
    Command("skeletons", "Write the students' files from the solutions.", AUTHORING),
    Command("docs", "Refresh included code, tables, outputs and pictures in the Markdown pages.", AUTHORING),
    Command("prove", "Measure how often a lab's grader is wrong.", AUTHORING),
    Command("release", "Pack what students get, without any solution.", AUTHORING),
)


class LazyGroup(TyperGroup):
    """A group whose commands are stubs (a name and a summary) until one of them is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that ``args`` begin with, and put the real one in its stub's place."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, load(name) if name else stub, rest


def load(name: str) -> Any:
    """Import a command's module and make its Click command."""
    entry = next(entry for entry in COMMANDS if entry.name == name)
    module = importlib.import_module(entry.module)
    app = getattr(module, "app", None)
    if app is None:
        app = new_app()
        app.command(name)(getattr(module, name))
    command = get_command(app)
    command.name = name
    return command


def new_app(**settings: Any) -> typer.Typer:
    """Make a Typer app with the settings that all of ours share."""
    return typer.Typer(
        add_completion=settings.pop("add_completion", False),
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        **settings,
    )


def add_stubs(app: typer.Typer) -> None:
    """Register every command of the table with its summary only."""
    for entry in COMMANDS:
        app.command(entry.name, help=entry.summary, rich_help_panel=entry.panel)(lambda: None)
