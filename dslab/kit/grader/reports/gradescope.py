"""results.json: for Gradescope's autograder.

Points stand with each test, and in a total, which Gradescope hides from students as long as a test is hidden
from them; so the text, which they see, does not tell it then. A test that ended in *error* has no points and
says so: its points are not lost, somebody has to look.

Source: Gradescope's autograder documentation, "Autograder Specifications", "Output format"
(gradescope-autograders.readthedocs.io/en/latest/specs).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from dslab.kit.grader.reports.files import write_whole
from dslab.kit.grader.reports.plain import explanation
from dslab.kit.grader.verdict import CheckResult, RunResult, StepResult, Verdict, number, shown

FILE = "results.json"


def write(result: RunResult, folder: Path) -> None:
    """Write it into a folder."""
    text = msgspec.json.format(msgspec.json.encode(to_json(result)), indent=2)  # as in `results`
    write_whole(folder / FILE, text.decode() + "\n")


def to_json(result: RunResult) -> dict[str, Any]:
    """The whole file."""
    return {
        "score": number(result.score),
        "execution_time": round(result.duration_s, 2),
        "output": _output(result),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {
            "lab": result.lab,
            "seed": result.seed,
            "backend": result.backend,
            "complete": result.complete,
            "undecided": number(result.undecided),
            "hints_used": {step.id: step.hints_used for step in result.steps if step.hints_used},
        },
        "tests": [test for step in result.steps for test in _tests(step)],
    }


def _output(result: RunResult) -> str:
    # A total would tell what became of the private checks.
    public = not any(check.private for check in result.checks)
    total = f"{shown(result.score)} of {shown(result.max_score)} points, " if public else ""
    lines = [f"{total}seed {result.seed}", *result.notes]
    if not result.complete:
        lines.append("The run ended before every check had its turn.")
    if public and result.undecided:
        lines.append(f"{shown(result.undecided)} points are undecided: the grader or its machine broke.")
    return "\n".join(lines)


def _tests(step: StepResult) -> Iterator[dict[str, Any]]:
    before = Fraction()
    for place, check in enumerate(step.checks, 1):
        # Rounded so that the shares still add up to the step's points: 6.67, 6.66, 6.67 of 20.
        share = round(before + check.points, 2) - round(before, 2)
        before += check.points
        yield _test(step, check, f"{step.id}.{place}", share)


def _test(step: StepResult, check: CheckResult, place: str, share: Fraction) -> dict[str, Any]:
    return {
        "score": number(share) if check.earned else 0,
        "max_score": number(share),
        "status": "passed" if check.verdict is Verdict.PASS else "failed",
        "name": f"{step.title}: {check.statement}",
        "number": place,
        # Without the command that repeats it: its paths are those of another machine. The seed stands above.
        "output": explanation(replace(check, repeat="")),
        "output_format": "text",
        "tags": [f"step {step.id}", check.verdict.value],
        "visibility": "after_published" if check.private else "visible",
        "extra_data": {"check": check.name, "verdict": check.verdict.value, "hint": check.hint},
    }
