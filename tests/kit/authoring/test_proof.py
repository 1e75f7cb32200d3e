"""From outcomes to numbers: what counts as caught, as false, as short of the goal."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslab.kit.authoring.mutants import Mutant
from dslab.kit.authoring.proof import Proof, markdown, stale_parts, stamp, weigh
from dslab.kit.authoring.submissions import Sort, Submission, read_equivalent
from dslab.kit.authoring.trials import Outcome
from dslab.kit.errors import ConfigError
from dslab.kit.grader.course import Lab
from dslab.kit.grader.rubric import Rubric

RUBRIC = Rubric(Path("lab.toml"), "Greetings", "", 0, (), ())
LAB = Lab(1, "01-greeting", "Greetings", Path(), RUBRIC, Path(), ())
GOOD = {"test_a": "pass", "test_b": "pass"}


def mutant(change: str = "a < b -> a <= b", operator: str = "comparison") -> Mutant:
    return Mutant("f.py", "f", operator, change, 1, 7, "1.1", "")


Trial = tuple[Submission, int, Outcome]


def trial(sort: Sort, *caught_by: str, of: Mutant | None = None, verdicts: dict[str, str]) -> Trial:
    return Submission(f"{sort}.py", sort, {}, caught_by, of), 1, Outcome(0, verdicts)


def test_a_grader_that_is_right() -> None:
    proof = weigh(
        LAB,
        [
            trial(Sort.SOLUTION, verdicts=GOOD),
            trial(Sort.ALTERNATIVE, verdicts=GOOD),
            trial(Sort.SKELETON, verdicts={"test_a": "fail", "test_b": "skipped"}),
            trial(Sort.WRONG, "test_a", verdicts={"test_a": "fail", "test_b": "pass"}),
            trial(Sort.CHEAT, "everything", verdicts={"test_a": "fail", "test_b": "fail"}),
            trial(Sort.MUTANT, of=mutant(), verdicts={"test_b": "fail"}),
        ],
        {},
    )
    assert proof.shortcomings == []
    assert proof.kill_rate == 1.0
    assert proof.checks == ("test_a", "test_b")
    assert (proof.wrong_caught, proof.mutants_caught) == ({"test_a": 1}, {"test_b": 1})


@pytest.mark.parametrize(
    ("sort", "caught_by", "verdicts", "shortcoming"),
    [
        (Sort.SOLUTION, (), {"test_a": "fail"}, "false failure: solution.py, seed 1: test_a fail"),
        (Sort.ALTERNATIVE, (), {"test_a": "error"}, "false failure: alternative.py, seed 1: test_a error"),
        (Sort.SOLUTION, (), {}, "false failure: solution.py, seed 1: no result, exit status 0"),
        (Sort.SKELETON, (), {"test_a": "pass"}, "the skeleton passes test_a"),
        (Sort.WRONG, ("test_a",), GOOD, "wrong.py says test_a, but was caught by nothing"),
        (
            Sort.WRONG,
            ("test_a",),
            {"test_a": "fail", "test_b": "fail"},
            "wrong.py says test_a, but was caught by test_a, test_b",
        ),
        (Sort.CHEAT, ("everything",), {"test_a": "pass", "test_b": "fail"}, "cheat.py passes test_a"),
        (Sort.CHEAT, ("test_a",), {"test_a": "skipped"}, "cheat.py passes test_a"),
    ],
)
def test_a_grader_that_is_wrong(
    sort: Sort, caught_by: tuple[str, ...], verdicts: dict[str, str], shortcoming: str
) -> None:
    assert weigh(LAB, [trial(sort, *caught_by, verdicts=verdicts)], {}).shortcomings == [shortcoming]


def test_a_cheat_that_breaks_the_machine_earns_nothing() -> None:
    cheat = trial(Sort.CHEAT, "test_a", verdicts={"test_a": "error"})
    assert weigh(LAB, [cheat], {}).shortcomings == []


def test_mutants() -> None:
    caught, survives, same, said, broke = (mutant(f"{n} -> {n + 1}") for n in range(5))
    trials = [
        trial(Sort.MUTANT, of=caught, verdicts={"test_a": "fail"}),
        trial(Sort.MUTANT, of=survives, verdicts=GOOD),
        trial(Sort.MUTANT, of=same, verdicts=GOOD),
        trial(Sort.MUTANT, of=said, verdicts={"test_a": "fail"}),
        trial(Sort.MUTANT, of=broke, verdicts={"test_a": "error"}),
    ]
    proof = weigh(LAB, trials, {same.key: "no difference", said.key: "none, it was thought"})
    assert (proof.caught, proof.survivors, proof.undecided) == ((caught,), (survives,), (broke,))
    assert (proof.equivalent, proof.not_equivalent) == (((same, "no difference"),), (said,))
    assert proof.shortcomings == [
        "said to be equivalent, but caught: f.py:7 f: 3 -> 4",
        "33.3% of the mutants caught; the goal is 95%",
    ]


PAGE = """\
# How far the grader of 01-greeting can be trusted

<!-- inputs: lab 0123456789ab wrong ba9876543210 -->

Made by `dslab prove 01-greeting`. Lab: Greetings.

| measure | result |
| --- | --- |
| runs of right submissions | 1 |
| false failures in them | 0 |
| checks that the skeleton passes | 0 |
| wrong submissions caught by exactly the checks that they name | 1 of 1 |
| cheats that earn nothing | 0 of 0 |
| mutants caught, of those that make a difference | 1 of 2, 50.0% |
| mutants that make none | 1 |

## What each check catches

Mutants are run against their own step first; one that is caught there meets no other check.

| check | wrong submissions | mutants |
| --- | --- | --- |
| `test_a` | 1 | 1 |
| `test_b` | 0 | 0 |

## Mutants by kind

| kind | made | caught | equivalent | survived |
| --- | --- | --- | --- | --- |
| comparison | 2 | 1 | 0 | 1 |
| constant | 1 | 0 | 1 | 0 |

## Mutants that survived

- `f.py:7 f: a < b -> a >= b`

## Mutants that make no difference

- `f.py:7 f: 1 -> 2`: any number will do

## Short of the goal

- 50.0% of the mutants caught; the goal is 95%
"""


def test_the_page() -> None:
    same = mutant("1 -> 2", "constant")
    trials = [
        trial(Sort.SOLUTION, verdicts=GOOD),
        trial(Sort.WRONG, "test_a", verdicts={"test_a": "fail"}),
        trial(Sort.MUTANT, of=mutant(), verdicts={"test_a": "fail"}),
        trial(Sort.MUTANT, of=mutant("a < b -> a >= b"), verdicts=GOOD),
        trial(Sort.MUTANT, of=same, verdicts=GOOD),
    ]
    proof = weigh(LAB, trials, {same.key: "any number will do"})
    inputs = {"lab": "0123456789abcdef", "wrong": "ba9876543210ffff"}
    page = markdown(proof, "Greetings", inputs)
    assert page == PAGE
    assert stale_parts(page, inputs) == []
    assert stale_parts(page, {**inputs, "wrong": "x", "new": "y"}) == ["wrong", "new"]
    assert stale_parts("nothing", inputs) == ["lab", "wrong"]
    assert stamp(inputs) == "lab 0123456789ab wrong ba9876543210"


def test_an_empty_proof_is_none() -> None:
    assert Proof("01-greeting", ()).kill_rate == 1.0


ENTRY = '[[equivalent]]\nfile = "f.py"\nfunction = "f"\nchange = "a < b -> a <= b"\nreason = "never equal"\n'


def test_equivalent_mutants_have_reasons(tmp_path: Path) -> None:
    path = tmp_path / "equivalent.toml"
    assert read_equivalent(path, []) == {}
    path.write_text(ENTRY)
    assert read_equivalent(path, [mutant()]) == {mutant().key: "never equal"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY.replace("reason", "because"), "an entry has no reason."),
        (ENTRY.replace("<=", "=="), "there is no mutant 'a < b -> a == b' in f of f.py."),
        ("[[equivalent", "is not TOML: "),
    ],
)
def test_mistakes_in_equivalent_toml(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "equivalent.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_equivalent(path, [mutant()])
    assert caught.value.message.startswith(f"{path}: {message}")
