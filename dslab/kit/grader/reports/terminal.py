"""A run on the terminal: notes, the first failures at length, the table of steps, the score.

Nothing is printed here, so that `dslab watch` can show the same. Texts of a student's program come in as
plain `Text`, never as Rich's markup. Paths and commands are not wrapped, however long: somebody copies them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import TextWrapper

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dslab.kit.grader.outcome import shortest
from dslab.kit.grader.verdict import CheckResult, RunResult, StepResult, Verdict, count, shown

AT_LENGTH = 3  # failures that are shown whole; more would push them off the screen
AT_LENGTH_ONE_STEP = 10  # the same where one step was asked for
INDENT = 4
LABEL_WIDTH = 11  # as in `compare`
STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.SKIPPED: "dim", Verdict.ERROR: "magenta"}


@dataclass(frozen=True, slots=True)
class Telling:
    """How a run is told.

    Attributes:
        repeat: The command that repeats the run.
        folder: The run's folder.
        here: The folder that paths are shown relative to.
        width: The terminal's, in columns.
        step: The step that was asked for, if it was only one.
        debug: Whether to show the tracebacks of errors.
    """

    repeat: str
    folder: Path
    here: Path
    width: int = 80
    step: str = ""
    debug: bool = False


def heading(result: RunResult) -> Text:
    """The first line: what is graded, and the seed."""
    number = result.lab.partition("-")[0].lstrip("0")
    name = f"Lab {number}, {result.title}" if number.isdecimal() else result.title
    return Text.assemble((name, "bold"), f"   seed {result.seed}, {result.backend}")


def told(result: RunResult, telling: Telling) -> Iterator[RenderableType]:
    """Everything that is said when a run is over."""
    for note in result.notes:
        yield Text(note, style="yellow")
    yield from failures(result, telling)
    yield Text()
    yield steps(result.steps)
    yield Text()
    yield score(result)
    yield _labelled("folder", shortest(telling.folder, telling.here))
    yield _labelled("again", telling.repeat)


def failures(result: RunResult, telling: Telling) -> Iterator[Text]:
    """The first failures at length, the others in short."""
    failed = [check for check in result.checks if check.verdict in {Verdict.FAIL, Verdict.ERROR}]
    unexplained = [check for check in failed if not _explained_by(result.notes, check)]
    at_length = _different(unexplained, telling.step)
    at_length = at_length[: AT_LENGTH_ONE_STEP if telling.step else AT_LENGTH]
    for check in at_length:
        yield Text()
        yield from failure(check, telling)
    others = [check for check in failed if check not in at_length]
    if others:
        yield Text()
        elsewhere = any(check.hint != telling.step for check in others)
        advice = "; --step N.M shows those of a step whole" if elsewhere else ""
        yield Text(f"{len(others)} more, in short{advice}:", style="dim")
        for alike in _alike(others):
            yield _in_a_line(alike, telling.width)


def failure(check: CheckResult, telling: Telling) -> Iterator[Text]:
    """One failure, whole: the property, what was wrong, both sides, the last words, where to go from here."""
    title = _wrapped(f"{check.hint} {check.verdict}: {check.statement}", telling.width - INDENT)
    title.stylize("bold")
    title.stylize(STYLES[check.verdict], len(check.hint), len(f"{check.hint} {check.verdict}"))
    yield title
    for line in _body(check, telling):
        yield Text(" " * INDENT).append(line)


def steps(results: Sequence[StepResult]) -> Table:
    """The table of steps with their points."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("step", no_wrap=True)
    table.add_column("", overflow="ellipsis", no_wrap=True)
    table.add_column("checks", no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    for step in results:
        style = STYLES[step.verdict]
        points = f"{shown(step.earned)} of {shown(step.points)}"
        table.add_row(step.id, Text(step.title), Text(_checks(step), style), Text(points, style))
    return table


def score(result: RunResult) -> Text:
    """The last word."""
    full = result.complete and result.score == result.max_score
    line = Text(
        f"{shown(result.score)} of {shown(result.max_score)} points", "bold green" if full else "bold"
    )
    if not result.complete:
        line.append(", and not every check had its turn")
    elif result.undecided:
        line.append(f", {shown(result.undecided)} undecided", STYLES[Verdict.ERROR])
        line.append(": they count neither for nor against you")
    return line


def _body(check: CheckResult, telling: Telling) -> Iterator[Text]:
    width = telling.width - INDENT
    if check.message:
        yield _wrapped(check.message, width)
    if _not_written(check):
        yield _labelled("hint", f"dslab hint {check.hint}")
        return
    if check.sent:
        yield _labelled("sent", check.sent, width)
    if check.verdict is Verdict.FAIL or telling.debug:
        yield from map(Text, check.detail.splitlines())
    else:
        yield Text("This is not your fault. --debug shows where it broke.")
    if check.stderr:
        yield _labelled("stderr", check.stderr, width)
    if check.verdict is Verdict.FAIL:
        yield _labelled("hint", f"dslab hint {check.hint}")
    if check.trace:
        yield _labelled("picture", shortest(telling.folder / check.trace, telling.here))
    yield _labelled("again", check.repeat)


def _labelled(label: str, text: str, width: int | None = None) -> Text:
    """A label and a text; the text is wrapped beside it if a width is given."""
    lines = text.splitlines() or [""]
    if width:
        lines = [piece for line in lines for piece in _wrapper(width - LABEL_WIDTH).wrap(line) or [""]]
    margin = " " * (LABEL_WIDTH + (INDENT if width else 0))
    return Text.assemble((f"{label:<{LABEL_WIDTH}}", "dim"), f"\n{margin}".join(lines))


def _wrapped(text: str, width: int) -> Text:
    """A paragraph whose later lines stand at the indent."""
    return Text(f"\n{' ' * INDENT}".join(_wrapper(width).wrap(text)))


def _wrapper(width: int) -> TextWrapper:
    # Blanks stay as they are: what a program printed may be code.
    return TextWrapper(max(width, 20), break_on_hyphens=False, replace_whitespace=False, expand_tabs=False)


def _alike(checks: list[CheckResult]) -> list[list[CheckResult]]:
    """Checks of one step that ended in the same words stand in one line."""
    groups: dict[tuple[str, str], list[CheckResult]] = {}
    for check in checks:
        groups.setdefault((check.hint, check.message), []).append(check)
    return list(groups.values())


def _in_a_line(alike: list[CheckResult], width: int) -> Text:
    check, *others = alike
    line = Text.assemble((f"{check.hint} ", "bold"), (check.verdict.value, STYLES[check.verdict]))
    more = f" and {len(others)} more" if others else ""
    line.append(f"  {check.name}{more}  {check.message}")
    line.truncate(width, overflow="ellipsis")
    return line


def _checks(step: StepResult) -> str:
    """``3 of 4``, and what became of the fourth where it is not a plain failure."""
    passed = f"{count(step.checks, Verdict.PASS)} of {len(step.checks)}"
    skipped, broken = count(step.checks, Verdict.SKIPPED), count(step.checks, Verdict.ERROR)
    if skipped == len(step.checks):
        return "skipped"
    return f"{passed}, {broken} error" if broken else passed


def _different(failed: list[CheckResult], step: str) -> list[CheckResult]:
    """One check for each end that a program came to: the same last line on stderr is the same story.

    Who asked for one step wants to see more of it: there, only if the message is the same as well.
    """
    told: dict[tuple[str, str], CheckResult] = {}
    for check in failed:
        last = check.stderr.rpartition("\n")[2]
        told.setdefault((last or check.name, check.message if check.hint == step else ""), check)
    return list(told.values())


def _not_written(check: CheckResult) -> bool:
    """Whether the student has yet to write it; then nothing else is worth telling."""
    return check.message.startswith("Not written yet:")


def _explained_by(notes: Sequence[str], check: CheckResult) -> bool:
    """A syntax error is told once, at the top."""
    return "SyntaxError" in check.message and any("SyntaxError" in note for note in notes)
