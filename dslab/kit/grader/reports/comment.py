"""report.md: for a comment on a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from dslab.kit.grader.reports.files import write_whole
from dslab.kit.grader.reports.plain import explanation
from dslab.kit.grader.verdict import CheckResult, RunResult, StepResult, Verdict, count, shown

FILE = "report.md"
MAX_CHARACTERS = 60_000  # GitHub takes 65,536
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")


def write(result: RunResult, folder: Path) -> None:
    """Write it into a folder."""
    write_whole(folder / FILE, to_markdown(result))


def to_markdown(result: RunResult) -> str:
    """The whole comment; failures beyond the limit are left out, and it says how many."""
    text = "\n".join(_head(result))
    left_out = 0
    for check in result.checks:
        if check.verdict in {Verdict.FAIL, Verdict.ERROR} and not check.private:
            section = _section(check)
            if len(text) + len(section) > MAX_CHARACTERS:
                left_out += 1
            else:
                text += section
    return text + (f"\n{left_out} more failures are left out here.\n" if left_out else "")


def _head(result: RunResult) -> Iterator[str]:
    points = f"{shown(result.score)} of {shown(result.max_score)} points"
    yield f"## {_plain(result.title)}: {points}"
    yield ""
    for note in result.notes:
        yield f"{_plain(note)}\n"
    if result.undecided:
        yield f"{shown(result.undecided)} points are undecided: the grader or its machine broke.\n"
    yield "| step | | checks | points |"
    yield "|---|---|---|---:|"
    for step in result.steps:
        yield _row(step)
    yield ""
    yield f"Seed {result.seed}, {result.backend}."
    yield ""


def _row(step: StepResult) -> str:
    checks = f"{count(step.checks, Verdict.PASS)} of {len(step.checks)}"
    return f"| {step.id} | {_plain(step.title)} | {checks} | {shown(step.earned)} of {shown(step.points)} |"


def _section(check: CheckResult) -> str:
    text = explanation(check)
    # A fence longer than any in the text, which a student's program may have written.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    title = f"<details><summary>{check.hint} {check.verdict}: {_html(check.statement)}</summary>"
    return f"\n{title}\n\n{fence}text\n{text}\n{fence}\n\n</details>\n"


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
