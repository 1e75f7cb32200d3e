"""``dslab doctor``: what works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dslab import __version__
from dslab.kit.cli.finding import Finding, Look, State
from dslab.kit.cli.host import Host, this_host
from dslab.kit.cli.looks_local import LOCAL_LOOKS
from dslab.kit.cli.looks_optional import OPTIONAL_LOOKS, is_wanted
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import find_course

STYLES = {State.OK: "green", State.OPTIONAL: "yellow", State.MISSING: "bold red"}
NOT_READY_STATUS = 3


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one JSON object on stdout.")] = False,
) -> None:
    """Look over this machine: what works, what is missing, how to get it.

    Ends with 0 if everything is there that local runs need, else with 3.

    Example:  [bold]dslab doctor[/bold]
    """
    host, course = this_host(), _course()
    findings = examine(host, course)
    ready = all(finding.state is not State.MISSING for finding in findings)
    if as_json:
        report = {
            "dslab": __version__,
            "system": host.title,
            "architecture": host.architecture,
            "wsl": host.wsl,
            "ready": ready,
            "findings": [finding.to_json() for finding in findings],
        }
        typer.echo(json.dumps(report, indent=2))
    else:
        _print(findings, ready)
    if not ready:
        raise typer.Exit(NOT_READY_STATUS)


def examine(host: Host, course: Path) -> list[Finding]:
    """Take every look, at the same time where they wait for other programs."""
    looks = [*LOCAL_LOOKS, *(look for look in OPTIONAL_LOOKS if is_wanted(look, course))]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(lambda look: _look(look, host, course), looks))


def _look(look: Look, host: Host, course: Path) -> Finding:
    try:
        return look(host, course)
    except Exception as error:  # noqa: BLE001 - one look that breaks on an odd machine must not hide the others
        return Finding(look.__name__, State.OPTIONAL, f"could not be looked at: {error!r}")


def _course() -> Path:
    try:
        return find_course().root
    except UsageError:
        return Path.cwd()


def _print(findings: list[Finding], ready: bool) -> None:
    console = Console(highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        table.add_row(Text(finding.state, style=STYLES[finding.state]), finding.name, Text(finding.found))
    console.print(table)
    for finding in findings:
        if finding.without or finding.remedy:
            console.print()
            console.print(Text(f"{finding.name}: {finding.found}", style=STYLES[finding.state]))
            if finding.without:
                console.print(Text(finding.without))
            if finding.remedy:
                console.print(Text(f"  {finding.remedy}", style="bold"), soft_wrap=True)
    console.print()
    console.print("Ready for local runs." if ready else "[bold red]Not ready for local runs.[/bold red]")
