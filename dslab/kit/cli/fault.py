"""``dslab fault``: break what ``dslab up`` runs, from another terminal."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from dslab.kit.cli.commands import new_app
from dslab.kit.cli.options import complete_lab
from dslab.kit.cli.remote import Remote, the_one
from dslab.kit.grader.course import find_course

app = new_app()


def complete_target(incomplete: str) -> list[str]:
    """The links and services of the topology that runs, for the shell."""
    from dslab.kit.errors import DslabError

    try:
        names = the_one(find_course(), None).ask("names")
    except (DslabError, OSError):
        return []
    return [name for name in [*names["links"], *names["services"]] if name.startswith(incomplete)]


@app.command(
    context_settings={"ignore_unknown_options": True}
)  # so that `delay -1` gets to the one who can tell
def fault(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]", help="'source->target', a service, or all.", autocompletion=complete_target
        ),
    ] = None,
    action: Annotated[
        list[str] | None, typer.Argument(metavar="[ACTION]...", help="What to do to it, with its values.")
    ] = None,
    lab: Annotated[
        str | None,
        typer.Option("--lab", metavar="N", help="Which lab, if several run.", autocompletion=complete_lab),
    ] = None,
) -> None:
    """Break a link or a service of the topology that runs, or heal it.

    To links: delay S [JITTER_S], lose P, duplicate P, reorder P, corrupt P, fragment MAX_BYTES, coalesce,
    throttle BYTES_PER_S, stall, partition, cut, reset [AFTER_BYTES], half_close [AFTER_BYTES], refuse, heal.
    Most of them also for one direction or some pieces only: direction=backward count=1.

    To services: start [NAME=VALUE], stop, kill, restart, pause, resume. To all: heal.

    Without an action it lists what there is.

    Example:  [bold]dslab fault 'client->server' delay 0.5[/bold],  or  [bold]dslab fault server pause[/bold]
    """
    remote = the_one(find_course(), lab)
    console = Console(highlight=False, soft_wrap=True)
    if target is None:
        _list(remote, console)
        return
    console.print(remote.ask("act", target=target, words=action or []), markup=False)


def _list(remote: Remote, console: Console) -> None:
    names = remote.ask("names")
    console.print(f"[bold]{escape(remote.lab)}[/bold] runs.")
    console.print(f"links      {', '.join(names['links'])}", markup=False)
    console.print(f"services   {', '.join(names['services'])}", markup=False)
    console.print("dslab fault --help has what can be done to them.")
