"""The result of a run: checks, steps, points. Pure; `RunResult.to_json` is result.json.

Points of a step are shared evenly by its checks. They are exact fractions until they are shown, so that
three checks of a step of 20 points earn 20, not 19.99.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

SCHEMA = "dslab-result/1"


class Verdict(StrEnum):
    """What became of a check."""

    PASS = "pass"
    FAIL = "fail"
    SKIPPED = "skipped"  # a step that it needs did not pass, or the run ended before its turn
    ERROR = "error"  # the kit, the machine or the check itself broke: neither for nor against the student


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check.

    Attributes:
        name: The test function's name, with its parameters: ``test_models[asyncio]``.
        statement: Its docstring's first paragraph: the property that should hold.
        verdict: What became of it.
        message: One line: what was wrong; empty where nothing was.
        sent: What the grader sent last, rendered; empty where that says nothing.
        actual: What came back, rendered.
        expected: What should have come back, rendered.
        detail: The rest that a reader may want: both sides with the caret, or a traceback for an error.
        stderr: The last lines that the student's programs wrote to stderr.
        hint: The id to ask `dslab hint` for.
        trace: The path of the picture, relative to the run's folder; empty where none was drawn.
        repeat: The command that runs this check again with the same payloads and faults.
        duration_s: From the start of its topology to the end of its teardown.
        points: What it is worth.
        private: Hidden from students until the grades are published.
        undecided: Its outcome says nothing about the student's work: an error, or skipped because of one.
    """

    name: str
    statement: str
    verdict: Verdict
    message: str = ""
    sent: str = ""
    actual: str = ""
    expected: str = ""
    detail: str = ""
    stderr: str = ""
    hint: str = ""
    trace: str = ""
    repeat: str = ""
    duration_s: float = 0.0
    points: Fraction = Fraction()
    private: bool = False
    undecided: bool = False

    @property
    def earned(self) -> Fraction:
        """All or nothing."""
        return self.points if self.verdict is Verdict.PASS else Fraction()

    def to_json(self) -> dict[str, Any]:
        """As it stands in result.json."""
        return {
            "name": self.name,
            "property": self.statement,
            "verdict": self.verdict.value,
            "message": self.message,
            "sent": self.sent,
            "expected": self.expected,
            "actual": self.actual,
            "detail": self.detail,
            "stderr": self.stderr,
            "hint": self.hint,
            "trace": self.trace,
            "repeat": self.repeat,
            "duration_s": round(self.duration_s, 3),
            "points": number(self.points),
            "private": self.private,
        }


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step with its checks."""

    id: str
    title: str
    points: Fraction
    checks: tuple[CheckResult, ...]
    hints_used: int = 0

    @property
    def earned(self) -> Fraction:
        """The sum over the checks that passed."""
        return sum((check.earned for check in self.checks), Fraction())

    @property
    def verdict(self) -> Verdict:
        """The step as a whole: passed if every check passed, else the gravest of its checks' verdicts."""
        found = {check.verdict for check in self.checks}
        for verdict in (Verdict.ERROR, Verdict.FAIL, Verdict.SKIPPED):
            if verdict in found:
                return verdict
        return Verdict.PASS

    def to_json(self) -> dict[str, Any]:
        """As it stands in result.json."""
        return {
            "id": self.id,
            "title": self.title,
            "points": number(self.points),
            "earned": number(self.earned),
            "hints_used": self.hints_used,
            "checks": [check.to_json() for check in self.checks],
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run of one lab's checks against one submission.

    Attributes:
        lab: The lab's folder name.
        title: The lab's title.
        seed: Every random choice of the run came from it.
        backend: ``local`` or ``docker``.
        submission: The folder that was graded.
        steps: The steps that were asked for, in the rubric's order.
        started: When the run began, UTC, as in ISO 8601.
        notes: What a reader should know before all else, as that a file has a syntax error.
        duration_s: Until now.
        complete: False as long as checks are outstanding; it stays false in a run that was killed.
    """

    lab: str
    title: str
    seed: int
    backend: str
    submission: str
    steps: tuple[StepResult, ...]
    started: str = ""
    notes: tuple[str, ...] = ()
    duration_s: float = 0.0
    complete: bool = True

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """Every check, in order."""
        return tuple(check for step in self.steps for check in step.checks)

    @property
    def score(self) -> Fraction:
        """The points earned."""
        return sum((step.earned for step in self.steps), Fraction())

    @property
    def max_score(self) -> Fraction:
        """The points of the steps that were asked for."""
        return sum((step.points for step in self.steps), Fraction())

    @property
    def undecided(self) -> Fraction:
        """Points that were neither earned nor lost, because the kit or the machine broke."""
        return sum((check.points for check in self.checks if check.undecided), Fraction())

    @property
    def exit_status(self) -> int:
        """0 full marks; 1 some check failed or was skipped; 3 some check ended in error."""
        if any(check.verdict is Verdict.ERROR for check in self.checks):
            return 3
        return 0 if self.complete and self.score == self.max_score else 1

    def to_json(self) -> dict[str, Any]:
        """As it stands in result.json, whose schema is result.schema.json."""
        return {
            "schema": SCHEMA,
            "lab": self.lab,
            "title": self.title,
            "seed": self.seed,
            "backend": self.backend,
            "submission": self.submission,
            "started": self.started,
            "duration_s": round(self.duration_s, 3),
            "complete": self.complete,
            "score": number(self.score),
            "max_score": number(self.max_score),
            "undecided": number(self.undecided),
            "notes": list(self.notes),
            "steps": [step.to_json() for step in self.steps],
        }


def number(points: Fraction) -> int | float:
    """As a JSON number: whole where it is whole, else rounded to two decimals."""
    return points.numerator if points.denominator == 1 else round(float(points), 2)


def shown(points: Fraction) -> str:
    """As a reader sees it: at most two decimals and no idle zeros."""
    return f"{float(points):.2f}".rstrip("0").rstrip(".")


def count(checks: Iterable[CheckResult], verdict: Verdict) -> int:
    """How many of the checks ended so."""
    return sum(check.verdict is verdict for check in checks)
