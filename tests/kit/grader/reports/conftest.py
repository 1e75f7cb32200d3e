"""One result with every verdict, and hostile texts in it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from dslab.kit.grader.compare import compare
from dslab.kit.grader.verdict import CheckResult, RunResult, StepResult, Verdict

COMPARISON = compare("==", b"Hello* World*", b"Hello World*")
HOSTILE = "</script>]]>\x00\x1b[2J```` | = <b>&amp;"


@pytest.fixture
def result() -> RunResult:
    """As it is in the middle of a lab."""
    passed = CheckResult(
        "test_one", "One holds.", Verdict.PASS, hint="1.1", points=Fraction(20, 3), duration_s=0.5
    )
    failed = CheckResult(
        name="test_two",
        statement="The reply is the text and a star.",
        verdict=Verdict.FAIL,
        message="Byte 5 differs.",
        sent='"Hello World" (11 bytes)',
        actual=COMPARISON.actual,
        expected=COMPARISON.expected,
        detail="\n".join(COMPARISON.rows),
        stderr="Traceback (most recent call last):\nValueError: no",
        hint="1.1",
        trace="test_two/picture.html",
        repeat="dslab test 1 --seed 7 --step 1.1",
        points=Fraction(20, 3),
    )
    broken = CheckResult(
        name="test_three",
        statement="Three holds.",
        verdict=Verdict.ERROR,
        message="The links program is gone.",
        detail="Traceback (most recent call last):\nKitError: The links program is gone.",
        hint="1.1",
        repeat="dslab test 1 --seed 7 --step 1.1",
        points=Fraction(20, 3),
        undecided=True,
    )
    skipped = CheckResult(
        "test_four",
        "Four holds.",
        Verdict.SKIPPED,
        "It needs step 1.1, which did not pass.",
        hint="1.2",
        points=Fraction(10),
    )
    secret = CheckResult(
        "test_five",
        "Five holds.",
        Verdict.FAIL,
        HOSTILE,
        stderr=HOSTILE,
        hint="1.3",
        points=Fraction(70),
        private=True,
    )
    return RunResult(
        lab="01-tiny",
        title="A tiny lab",
        seed=7,
        backend="local",
        submission="/somewhere/=SUM(A1)",
        started="2026-03-14T09:30:00+00:00",
        duration_s=1.25,
        steps=(
            StepResult("1.1", "Answer", Fraction(20), (passed, failed, broken)),
            StepResult("1.2", "Answer again", Fraction(10), (skipped,), hints_used=2),
            StepResult("1.3", "Something else", Fraction(70), (secret,)),
        ),
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run's folder with the picture of the failed check."""
    folder = tmp_path / "run"
    (folder / "test_two").mkdir(parents=True)
    (folder / "test_two" / "picture.html").write_text(
        '<!doctype html><p id="picture">"quoted" &amp; more</p>'
    )
    return folder
