"""results.csv: a heading and one row, for a spreadsheet or to be put under those of others."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from dslab.kit.grader.reports.files import write_whole
from dslab.kit.grader.verdict import RunResult, Verdict, count, shown

FILE = "results.csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(result: RunResult, folder: Path) -> None:
    """Write it into a folder."""
    row = columns(result)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(row)
    writer.writerow(map(_harmless, row.values()))
    write_whole(folder / FILE, text.getvalue())


def columns(result: RunResult) -> dict[str, str]:
    """The row, by heading; the points of each step have a column."""
    row = {
        "submission": Path(result.submission).name,
        "lab": result.lab,
        "score": shown(result.score),
        "max_score": shown(result.max_score),
        "undecided": shown(result.undecided),
        "complete": "yes" if result.complete else "no",
        "failed": str(count(result.checks, Verdict.FAIL)),
        "errors": str(count(result.checks, Verdict.ERROR)),
        "seed": str(result.seed),
        "backend": result.backend,
        "started": result.started,
    }
    return row | {f"step {step.id}": shown(step.earned) for step in result.steps}


def _harmless(cell: str) -> str:
    """A cell that begins like a formula would be one: the submission's name is the student's choice."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
