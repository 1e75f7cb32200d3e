"""The ``dslab`` command: reads the command line, turns every exception into one paragraph and an exit status.

Exit status: 0 it worked; 1 some check failed, or a ``--check`` found a difference; 2 the command or a file
of the course is wrong; 3 the machine lacks something or dslab broke; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from typer.main import get_command

from dslab import __version__
from dslab.kit.cli.commands import LazyGroup, add_stubs, new_app
from dslab.kit.cli.failures import explain
from dslab.kit.cli.streams import make_ready

if TYPE_CHECKING:
    from collections.abc import Sequence

app = new_app(cls=LazyGroup, add_completion=True, no_args_is_help=True)
add_stubs(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dslab {__version__}, Python {sys.version.split()[0]}")
        raise typer.Exit


@app.callback()
def dslab(
    debug: Annotated[  # read by main(), which needs it even where parsing fails
        bool, typer.Option("--debug", envvar="DSLAB_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Labs on distributed systems: run them, break them, see who said what, be graded.

    Begin with:  [bold]dslab labs[/bold],  then  [bold]dslab test 1[/bold]
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the ``dslab`` command.

    Args:
        args: The command line without the program's name; ``sys.argv``'s if left out.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if args is None else args)
    debug = "--debug" in words or os.environ.get("DSLAB_DEBUG", "") not in {"", "0"}
    make_ready()
    words = [word for word in words if word != "--debug"]  # allowed anywhere, as in `dslab test 1 --debug`
    try:
        get_command(app).main(words, prog_name="dslab", obj={"debug": debug})
    except SystemExit as stop:
        return _status(stop)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, the reader gets a paragraph
        return explain(error, debug=debug)
    return 0


def _status(stop: SystemExit) -> int:
    match stop.code:
        case int(code):
            return code
        case None:
            return 0
        case message:
            sys.stderr.write(f"{message}\n")
            return 1
