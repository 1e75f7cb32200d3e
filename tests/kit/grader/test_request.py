"""What is asked for, completed and validated."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dslab.kit.errors import UsageError
from dslab.kit.grader.course import Course
from dslab.kit.grader.outcome import repeat_command
from dslab.kit.grader.request import GradeRequest, derived_seed, make_request


def ask(lab: Path, **options: object) -> GradeRequest:
    return make_request("1", course=Course(lab.parent.parent), **options)  # type: ignore[arg-type]


def test_defaults(lab: Path) -> None:
    request = ask(lab)
    assert (request.submission, request.backend, request.broker) == (lab, "local", "embedded")
    assert 0 <= request.seed < 2**31
    assert [step.id for step in request.steps] == ["1.1", "1.2", "1.3"]
    assert ask(lab, seed=0).seed == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"submission": Path("/nowhere")}, "The submission /nowhere does not exist"),
        ({"submission": Path(__file__)}, "is a file, not a folder"),
        ({"step": ["9.9"]}, r"has no step '9.9'. Its steps are 1.1, 1.2, 1.3"),
        ({"backend": "cloud"}, "no backend 'cloud'. It is one of: local, docker"),
        ({"broker": "kafka"}, "no broker 'kafka'"),
        ({"checks": Path("/nowhere")}, "There are no checks in /nowhere"),
        ({"checks": Path(__file__).with_name("README.md")}, r"There are no checks in .*README\.md"),
    ],
)
def test_what_is_refused(lab: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(lab, **options)


@pytest.mark.parametrize("name", ["caf\udce9", "esc\x1b[31m", "two\nlines"])
@pytest.mark.parametrize("option", ["submission", "checks"])
def test_paths_that_no_report_can_hold(lab: Path, tmp_path: Path, name: str, option: str) -> None:
    shutil.copytree(lab, tmp_path / name)
    with pytest.raises(UsageError, match=r"(caf\\xe9|esc\\x1b\[31m|two\\nlines)'? cannot stand in a report"):
        ask(lab, **{option: tmp_path / name})


def test_paths_from_home(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(lab))
    home = Path("~")  # as the shell leaves it in --report=~/out
    request = ask(lab, submission=home, checks=home, report=home / "out")
    assert (request.submission, request.checks, request.report) == (lab, lab, lab / "out")


def test_paths_from_the_home_of_nobody(lab: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert ask(lab, report=Path("~no such user/out")).report == tmp_path / "~no such user" / "out"
    with pytest.raises(UsageError, match=r"The submission .*/~no such user does not exist"):
        ask(lab, submission=Path("~no such user"))
    with pytest.raises(UsageError, match="There are no checks in ~no such user"):
        ask(lab, checks=Path("~no such user"))


def test_paths_of_all_languages(lab: Path, tmp_path: Path) -> None:
    submission = tmp_path / "\u200d\u0644\u200c\u0647 ünï 'x' \"q\"\u00a0é"
    shutil.copytree(lab, submission)
    assert ask(lab, submission=submission).submission == submission


def test_missing_files_are_listed(lab: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lacks server\.py\. Lab 01-tiny grades server\.py\."):
        ask(lab, submission=tmp_path)


def test_seeds_follow_from_the_first(lab: Path) -> None:
    request = ask(lab, seed=5)
    seeds = [request.again(number).seed for number in range(50)]
    assert seeds == [ask(lab, seed=5).again(number).seed for number in range(50)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 50
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_derived_seeds_do_not_depend_on_the_process() -> None:
    assert derived_seed(7, "test_answer") == 12581978789474355450


def test_command_that_repeats(lab: Path, tmp_path: Path) -> None:
    submission = tmp_path / "a submission"
    submission.mkdir()
    (submission / "server.py").write_text("")
    request = ask(lab, seed=5, submission=submission, backend="docker", checks=lab / "test_tiny.py")
    assert repeat_command(request, ["1.2"], tmp_path) == (
        "dslab test 1 --submission 'a submission' --backend docker "
        "--checks course/labs/01-tiny/test_tiny.py --seed 5 --step 1.2"
    )
    assert repeat_command(ask(lab, seed=5), [], tmp_path) == "dslab test 1 --seed 5"


def test_several_steps(lab: Path, tmp_path: Path) -> None:
    request = ask(lab, seed=5, step=["1.3", "1.1", "1.3"])
    assert [step.id for step in request.steps] == ["1.1", "1.3"]
    assert repeat_command(request, request.only, tmp_path) == "dslab test 1 --seed 5 --step 1.3 --step 1.1"
