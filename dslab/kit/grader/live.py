"""`dslab test` on a terminal: which check runs now, and the whole story at the end.

In a pipe or a file there is no line that moves, only the story.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dslab.kit.grader.ledger import Planned
from dslab.kit.grader.outcome import repeat_command
from dslab.kit.grader.progress import Watcher
from dslab.kit.grader.reports import terminal
from dslab.kit.grader.request import GradeRequest
from dslab.kit.grader.verdict import RunResult

REFRESHES_PER_S = 8


def moving_line(console: Console) -> Live:
    """Start a line that is redrawn in place, and leaves nothing when it stops.

    It keeps off sys.stdout, which pytest exchanges for every check.
    """
    live = Live(
        console=console,
        transient=True,
        refresh_per_second=REFRESHES_PER_S,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    live.start()
    return live


class TerminalWatcher(Watcher):
    """Shows one run.

    Args:
        console: Where; with a file of its own, since sys.stdout changes while checks run.
        debug: Whether to show the tracebacks of errors.
    """

    def __init__(self, console: Console, *, debug: bool = False) -> None:
        self._console = console
        self._debug = debug
        self._live: Live | None = None
        self._request: GradeRequest | None = None
        self._folder = Path()

    def begun(self, request: GradeRequest, folder: Path, plan: RunResult) -> None:
        """Print the heading, and start the line that moves."""
        self._request, self._folder = request, folder
        self._console.print(terminal.heading(plan))
        if self._console.is_terminal:
            self._live = moving_line(self._console)

    def check_begun(self, check: Planned, number: int, total: int) -> None:
        """Say which check runs now."""
        if self._live:
            self._live.update(_now(check, number, total))

    def ended(self, result: RunResult) -> None:
        """Tell the story."""
        self.stop()
        assert self._request
        request, here = self._request, Path.cwd()
        telling = terminal.Telling(
            repeat=repeat_command(request, request.only, here),
            folder=self._folder,
            here=here,
            width=self._console.width,
            step=request.only[0] if len(request.only) == 1 else "",
            debug=self._debug,
        )
        for part in terminal.told(result, telling):
            self._console.print(part, soft_wrap=isinstance(part, Text))

    def stop(self) -> None:
        """Take the moving line away. Harmless when repeated."""
        if self._live:
            self._live.stop()
            self._live = None


def _now(check: Planned, number: int, total: int) -> Table:
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column()
    line.add_column(no_wrap=True)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(Spinner("line"), f"{number} of {total}  {check.step}", Text(check.statement))
    return line
