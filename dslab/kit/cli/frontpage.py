"""The page that ``dslab --help`` shows, drawn as Typer draws a command's own page.

Typer's renderer can do far more (Markdown, tracebacks, syntax colours), and to import it takes longer than
all the rest of ``dslab --help``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import cleandoc

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

Rows = Iterable[tuple[str, str]]


def show(usage: str, description: str, panels: Mapping[str, Rows]) -> None:
    """Print the page.

    Args:
        usage: The line that says what may be typed.
        description: What the program is, in Rich's markup.
        panels: The boxes by title: rows of a name and what it means.
    """
    tables = {title: _table(rows) for title, rows in panels.items()}
    console = Console(highlight=False)
    console.print(Padding(Text(usage, style="bold"), 1))
    console.print(Padding(cleandoc(description), (0, 1, 1, 1)))
    for title, table in tables.items():
        console.print(Panel(table, title=title, title_align="left", border_style="dim"))


def _table(rows: Rows) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(ratio=1)
    for name, meaning in rows:
        table.add_row(Text(name), Text(meaning))
    return table
