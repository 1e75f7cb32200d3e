"""``--repeat K``: the same run K times, each with another seed, and which checks wavered.

The seeds follow from the first one, so that the whole series can be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dslab.kit.grader.ledger import Planned
from dslab.kit.grader.live import moving_line
from dslab.kit.grader.progress import Watcher
from dslab.kit.grader.reports.terminal import STYLES, heading
from dslab.kit.grader.request import GradeRequest
from dslab.kit.grader.run import grade
from dslab.kit.grader.verdict import CheckResult, RunResult, Verdict, shown

MAX_SEEDS = 3  # shown per check


@dataclass(frozen=True, slots=True)
class Flake:
    """A check that did not always pass.

    Attributes:
        check: Its last result that was no pass.
        seeds: Those of the runs in which it did not pass.
    """

    check: CheckResult
    seeds: tuple[int, ...]


def repeat_run(request: GradeRequest, times: int, console: Console) -> int:
    """Run it so many times, tell the result, and return the worst exit status.

    Whatever ends the series early, what was seen until then is told.
    """
    results: list[RunResult] = []
    try:
        for number, once in enumerate(_requests(request, times)):
            watcher = _OneLine(console, number, times)
            try:
                results.append(grade(once, watcher))
            finally:
                watcher.stop()
            if number == 0:
                console.print(heading(results[0]))
            if results[-1].exit_status:
                console.print(_told(number, results[-1]), soft_wrap=True)
            elif not console.is_terminal:  # else a line moves
                console.print(f"run {number + 1} of {times}: full marks")
    finally:
        if results:
            console.print(summary(results, times))
            if found := flakes(results):
                console.print(table(found, len(results)))
    return max(result.exit_status for result in results)


def flakes(results: list[RunResult]) -> list[Flake]:
    """The checks that failed or broke in some run, the most frequent first."""
    found: dict[tuple[int, str], Flake] = {}
    for result in results:
        for place, check in enumerate(result.checks):
            if check.verdict in {Verdict.FAIL, Verdict.ERROR}:
                key = (place, check.name)  # a private check may have another's name
                seeds = found[key].seeds if key in found else ()
                found[key] = Flake(check, (*seeds, result.seed))
    return sorted(found.values(), key=lambda flake: -len(flake.seeds))


def summary(results: list[RunResult], times: int) -> Text:
    """How many of the runs earned everything, and how many there should have been."""
    line = f"{full(results)} of {len(results)} runs earned full marks"
    if len(results) < times:
        line += f"; {times} were wanted"
    return Text(line, "bold green" if full(results) == times else "bold")


def full(results: list[RunResult]) -> int:
    """How many runs earned everything."""
    return sum(result.exit_status == 0 for result in results)


def table(found: list[Flake], runs: int) -> Table:
    """Which checks wavered, in how many of the runs, with which seeds."""
    rows = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading_, justify in (
        ("step", "left"),
        ("check", "left"),
        ("not passed", "right"),
        ("seeds", "left"),
    ):
        rows.add_column(heading_, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for flake in found:
        seeds = ", ".join(map(str, flake.seeds[:MAX_SEEDS])) + (
            ", ..." if len(flake.seeds) > MAX_SEEDS else ""
        )
        often = f"{len(flake.seeds)} of {runs}"
        rows.add_row(flake.check.hint, flake.check.name, Text(often, STYLES[flake.check.verdict]), seeds)
    return rows


def _requests(request: GradeRequest, times: int) -> Iterator[GradeRequest]:
    for number in range(times):
        once = request.again(number)
        report = request.report / f"run-{number + 1:03}" if request.report else None
        yield replace(once, report=report)


def _told(number: int, result: RunResult) -> Text:
    failed = next((check for check in result.checks if check.verdict in {Verdict.FAIL, Verdict.ERROR}), None)
    why = f"  {failed.hint} {failed.name}: {failed.verdict}: {failed.message}" if failed else ""
    points = f"{shown(result.score)} of {shown(result.max_score)}"
    return Text(f"run {number + 1}, seed {result.seed}: {points}{why}")


class _OneLine(Watcher):
    """A line that moves: which run, which check."""

    def __init__(self, console: Console, number: int, times: int) -> None:
        self._console = console
        self._run = f"run {number + 1} of {times}"
        self._live: Live | None = None
        if console.is_terminal:
            self._live = moving_line(console)

    def check_begun(self, check: Planned, number: int, total: int) -> None:
        """Say so."""
        if self._live:
            line = Text(f"{self._run}, check {number} of {total}  {check.step} {check.name}")
            line.no_wrap, line.overflow = True, "ellipsis"
            self._live.update(line)

    def stop(self) -> None:
        """Take the line away."""
        if self._live:
            self._live.stop()
            self._live = None
