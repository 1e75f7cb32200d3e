"""Points, order, and what blocks what."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from dslab.kit.errors import ConfigError
from dslab.kit.grader.ledger import Blocked, Ledger, Planned
from dslab.kit.grader.rubric import Rubric, Step
from dslab.kit.grader.verdict import CheckResult, RunResult, Verdict, number, shown

RUBRIC = Rubric(
    path=Path("lab.toml"),
    title="T",
    chapter="1",
    minutes=1,
    files=("a.py",),
    steps=(
        Step("1", "One", Fraction(20)),
        Step("2", "Two", Fraction(30), needs=("1",)),
        Step("3", "Three", Fraction(50), needs=("2",)),
    ),
)
CHECKS = [Planned("c3", "test_c", "C.", "3"), *(Planned(f"a{n}", f"test_a{n}", "A.", "1") for n in range(3))]
CHECKS.append(Planned("b", "test_b", "B.", "2"))
BLANK = RunResult(lab="01-x", title="T", seed=1, backend="local", submission="s", steps=())


def ledger(wanted: Sequence[Step] = RUBRIC.steps) -> Ledger:
    return Ledger(RUBRIC, wanted, CHECKS, BLANK)


def enter(book: Ledger, key: str, verdict: Verdict, *, undecided: bool = False) -> None:
    book.enter(key, CheckResult(name=key, statement="", verdict=verdict, undecided=undecided))


def test_order_is_that_of_the_rubric() -> None:
    assert [check.key for check in ledger().order] == ["a0", "a1", "a2", "b", "c3"]
    assert [check.key for check in ledger(RUBRIC.with_needs("2")).order] == ["a0", "a1", "a2", "b"]


def test_shares_add_up_exactly() -> None:
    book = ledger()
    for key in ("a0", "a1", "a2"):
        enter(book, key, Verdict.PASS)
        assert book.share(key) == Fraction(20, 3)
    assert book.result().score == 20


def test_before_anything_ran() -> None:
    result = ledger().result()
    assert not result.complete
    assert result.score == 0
    assert result.max_score == result.undecided == 100
    assert result.exit_status == 1


def test_complete_when_every_check_had_its_turn() -> None:
    book = ledger()
    for check in book.order:
        assert not book.complete
        enter(book, check.key, Verdict.PASS)
    assert book.complete
    assert book.result(duration_s=2.5).duration_s == 2.5
    assert book.result().exit_status == 0


def test_a_failed_step_blocks_what_needs_it_also_indirectly() -> None:
    book = ledger()
    enter(book, "a0", Verdict.FAIL)
    enter(book, "a1", Verdict.ERROR)
    assert book.blocked("1") is None
    assert book.blocked("2") == Blocked("1", undecided=False)
    enter(book, "b", Verdict.SKIPPED)
    blocked = book.blocked("3")
    assert blocked == Blocked("1", undecided=False)
    assert blocked.message == "It needs step 1, which did not pass."


def test_a_broken_step_blocks_without_counting_against_anybody() -> None:
    book = ledger()
    for key in ("a0", "a1", "a2"):
        enter(book, key, Verdict.PASS)
    assert book.blocked("2") is None
    enter(book, "a1", Verdict.ERROR)
    blocked = book.blocked("2")
    assert blocked == Blocked("1", undecided=True)
    assert blocked.message == "It needs step 1, which could not be decided."


def test_exit_status_of_an_error_is_3() -> None:
    book = ledger()
    for check in book.order:
        enter(book, check.key, Verdict.ERROR if check.key == "b" else Verdict.FAIL)
    assert book.result().exit_status == 3


def test_step_as_a_whole() -> None:
    book = ledger()
    enter(book, "a0", Verdict.PASS)
    enter(book, "a1", Verdict.FAIL)
    assert book.result().steps[0].verdict is Verdict.FAIL
    enter(book, "a2", Verdict.ERROR)
    assert book.result().steps[0].verdict is Verdict.ERROR
    assert book.result().steps[1].verdict is Verdict.SKIPPED


def test_check_of_an_unknown_step() -> None:
    with pytest.raises(ConfigError, match=r'x: says @step\("9"\), but lab.toml has no such step'):
        Ledger(RUBRIC, RUBRIC.steps, [*CHECKS, Planned("x", "test_x", "X.", "9")], BLANK)


def test_step_without_a_check() -> None:
    with pytest.raises(ConfigError, match=r"lab.toml: step 3 has no check"):
        Ledger(RUBRIC, RUBRIC.steps, CHECKS[1:], BLANK)


@pytest.mark.parametrize(
    ("points", "json", "text"),
    [
        (Fraction(20), 20, "20"),
        (Fraction(20, 3), 6.67, "6.67"),
        (Fraction(5, 2), 2.5, "2.5"),
        (Fraction(0), 0, "0"),
        (Fraction(100), 100, "100"),
    ],
)
def test_points_as_shown(points: Fraction, json: float, text: str) -> None:
    assert number(points) == json
    assert type(number(points)) is type(json)
    assert shown(points) == text
