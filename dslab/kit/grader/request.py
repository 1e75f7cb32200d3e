"""What is to be graded, and how: one frozen object, complete and valid before anything runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeVar, get_args
from unicodedata import category

from dslab.kit.errors import UsageError
from dslab.kit.grader.course import Course, Lab, find_course
from dslab.kit.grader.render import harmless
from dslab.kit.grader.rubric import Step

Backend = Literal["local", "docker"]
Broker = Literal["embedded", "rabbitmq"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
BROKERS: tuple[Broker, ...] = get_args(Broker)

MAX_SEED = 2**31

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class GradeRequest:
    """One run: a lab, a submission and the options of section "Run it" of every handout.

    Attributes:
        course: Where the run folders go.
        lab: What is graded.
        submission: The folder with the student's files; they are there.
        seed: Every random choice comes from it.
        backend: Where the topologies run.
        broker: Which message broker the labs that need one get.
        only: Run these steps and what they need; none means every step.
        report: Where every format goes; None writes only result.json, into the run's folder.
        checks: Where the instructor's private checks are: a file, or a folder of them.
        keep: Keep the working and scratch folders of checks that passed.
        hints_used: How often a hint was asked for, by step.
    """

    course: Course
    lab: Lab
    submission: Path
    seed: int
    backend: Backend = "local"
    broker: Broker = "embedded"
    only: tuple[str, ...] = ()
    report: Path | None = None
    checks: Path | None = None
    keep: bool = False
    hints_used: Mapping[str, int] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that are asked for, with those that they need."""
        rubric = self.lab.rubric
        return rubric.with_needs(*self.only) if self.only else rubric.steps

    @property
    def private(self) -> tuple[Path, ...]:
        """The files with private checks."""
        if self.checks is None:
            return ()
        if self.checks.is_file():
            return (self.checks,) if self.checks.suffix == ".py" else ()
        return tuple(sorted(self.checks.glob("test_*.py")))

    def with_hints(self, told: Mapping[str, int]) -> GradeRequest:
        """The same run, for a student who was told so many hints of each step."""
        return replace(self, hints_used=dict(told))

    def again(self, number: int) -> GradeRequest:
        """The same run with another seed, which follows from this one's; number 0 is this run itself."""
        return replace(self, seed=derived_seed(self.seed, f"run {number}") % MAX_SEED) if number else self


def make_request(
    lab: str | Path,
    *,
    course: Course | None = None,
    submission: Path | None = None,
    seed: int | None = None,
    backend: str | None = None,
    broker: str | None = None,
    step: Sequence[str] = (),
    report: Path | None = None,
    checks: Path | None = None,
    keep: bool = False,
) -> GradeRequest:
    """Complete what was asked for, and validate it.

    Args:
        lab: What `Course.lab` takes.
        course: The course; the one that the current folder is in, if left out.
        submission: The lab's own folder, where the student works, if left out.
        seed: A random one, if left out.
        backend: ``local``, if left out.
        broker: ``embedded``, if left out.
        step: The steps to run; see `GradeRequest.only`.
        report: See `GradeRequest`.
        checks: A file or a folder with private checks (``test_*.py``).
        keep: See `GradeRequest`.

    Raises:
        UsageError: No such lab, step or folder, a path that no report can hold, or a file of the
            submission is missing.
        ConfigError: A file of the lab is wrong.
    """
    course = course or find_course()
    found = course.lab(lab)
    request = GradeRequest(
        course=course,
        lab=found,
        submission=_submission(found, submission),
        seed=secrets.randbelow(MAX_SEED) if seed is None else seed,
        backend=one_of(backend or "local", BACKENDS, "backend"),
        broker=one_of(broker or "embedded", BROKERS, "broker"),
        only=tuple(dict.fromkeys(step)),
        report=at_home(report).absolute() if report else None,
        checks=_located(at_home(checks)) if checks else None,
        keep=keep,
    )
    for path in filter(None, (request.submission, request.checks)):
        _refuse_unwritable(path)
    known = [one.id for one in found.rubric.steps]
    for unknown in (one for one in step if one not in known):
        raise UsageError(
            f"Lab {found.name} has no step {unknown!r}.", remedy=f"Its steps are {', '.join(known)}."
        )
    if checks and not request.private:
        raise UsageError(
            f"There are no checks in {checks}.", remedy="Name a test_*.py file or a folder of them."
        )
    return request


def derived_seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that a check has the same payloads whatever runs before it."""
    return int.from_bytes(sha256(f"{seed}/{purpose}".encode()).digest()[:8])


def one_of(value: str, known: Sequence[Name], what: str) -> Name:
    """The value, if it is known.

    Raises:
        UsageError: It is not.
    """
    for name in known:
        if name == value:
            return name
    raise UsageError(f"There is no {what} {value!r}.", remedy=f"It is one of: {', '.join(known)}.")


def at_home(path: Path) -> Path:
    """What a shell makes of a ``~`` in front; where there is no such user, it is left as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - that of Path raises an error then


def _located(checks: Path) -> Path:
    """The path as pytest will name it, without dots; a file keeps its own name, whatever it is a link to."""
    return checks.resolve() if checks.is_dir() else checks.parent.resolve() / checks.name


def _refuse_unwritable(path: Path) -> None:
    """Refuse what JSON cannot hold (bytes that are no UTF-8), or what moves a terminal's cursor."""
    if any(category(character) in {"Cc", "Cs"} for character in str(path)):
        raise UsageError(
            f"The path {harmless(str(path))} cannot stand in a report.",
            remedy="Rename it: UTF-8, and no control characters.",
        )


def _submission(lab: Lab, folder: Path | None) -> Path:
    folder = at_home(folder or lab.folder).absolute()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise UsageError(
            f"The submission {folder} {what}.", remedy="Name the folder with the student's files."
        )
    missing = [name for name in lab.rubric.files if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"The submission {folder} lacks {', '.join(missing)}.",
            remedy=f"Lab {lab.name} grades {', '.join(lab.rubric.files)}.",
        )
    return folder
