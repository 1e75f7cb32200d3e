"""What a student has earned so far, lab by lab and step by step.

Run folders hold the results, but only the newest runs are kept; so each run enters its result into
``.dslab/progress.json`` as it ends (`enter`). What a run that was killed could not enter, and runs of before
there was that file, are carried over when another run begins (`carry_over`), before the oldest folders are
removed, and whenever the record is asked for. A step counts as it was in the last run that included it,
so that ``dslab test 1 --step 1.3`` updates that step and leaves the others alone. Runs of other files than
the lab's own (``--submission``) do not count.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from dslab.kit.grader.course import Course, Lab
from dslab.kit.grader.reports.files import write_whole

RECORD = Path(".dslab", "progress.json")
LOCK = Path(".dslab", "progress.lock")

# What the files must hold that are read here: a program that is graded may have written into them.
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Entry(TypedDict):
    share: Annotated[str, msgspec.Meta(pattern=r"^\d{1,9}(/[1-9]\d{0,8})?$")]
    at: _Time


class _Step(TypedDict):
    id: str
    points: Annotated[float, msgspec.Meta(gt=0)]
    earned: Annotated[float, msgspec.Meta(ge=0)]


class _Result(TypedDict):
    lab: str
    submission: str
    complete: bool
    started: _Time
    steps: list[_Step]


_Record = dict[str, dict[str, _Entry]]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a student stands in one lab.

    Attributes:
        lab: The lab.
        earned: Points by step id, for the steps that were run.
        last_run: When the lab was last run; None if never.
    """

    lab: Lab
    earned: dict[str, Fraction]
    last_run: datetime | None

    @property
    def points(self) -> Fraction:
        """The sum over the steps."""
        return sum(self.earned.values(), Fraction())

    @property
    def passed(self) -> list[str]:
        """The steps with all of their points."""
        return [step.id for step in self.lab.rubric.steps if self.earned.get(step.id, 0) == step.points]

    @property
    def next_step(self) -> str:
        """The first step that lacks points; empty if none does."""
        return next((step.id for step in self.lab.rubric.steps if step.id not in self.passed), "")


def standings(course: Course) -> list[Standing]:
    """How the student stands in every lab."""
    record = _update(course, map(_read_result, _result_files(course)))
    return [_standing(lab, record.get(lab.name, {})) for lab in course.labs()]


def enter(course: Course, result: dict[str, Any]) -> None:
    """Enter the result of a run that has ended; one that does not count changes nothing.

    Raises:
        MachineError: The record cannot be written.
    """
    if _counts(course, result):
        _update(course, [result])


def carry_over(course: Course) -> None:
    """Enter what runs have left that is newer than the record; most often nothing is.

    Raises:
        MachineError: The record cannot be written.
    """
    recorded_ns = _changed_ns(course.root / RECORD)
    newer = [path for path in _result_files(course) if _changed_ns(path) >= recorded_ns]
    if newer:
        _update(course, map(_read_result, newer))


def _standing(lab: Lab, steps: dict[str, Any]) -> Standing:
    known = {step.id: step.points for step in lab.rubric.steps}
    # A share, not points: a lab whose points were rebalanced keeps its meaning.
    earned = {
        step_id: known[step_id] * Fraction(entry["share"])
        for step_id, entry in steps.items()
        if step_id in known
    }
    times = [datetime.fromisoformat(entry["at"]) for entry in steps.values()]
    return Standing(lab, earned, max(times, default=None))


def _merge(record: dict[str, Any], results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    for result in results:
        steps = record.setdefault(result["lab"], {})
        for step in result["steps"]:
            if result["started"] >= steps.get(step["id"], {}).get("at", ""):
                share = min(Fraction(str(step["earned"])) / Fraction(str(step["points"])), Fraction(1))
                steps[step["id"]] = {"share": str(share.limit_denominator(100)), "at": result["started"]}
    return record


def _update(course: Course, results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Merge results into the record; it, as it is then. Two runs that end at once wait for each other."""
    counting = [result for result in results if _counts(course, result)]
    path = course.root / RECORD
    record = _read(path, _Record)
    if _merge(_read(path, _Record), counting) == record:
        return record
    with _locked(course.root / LOCK):
        record = _merge(_read(path, _Record), counting)
        write_whole(path, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return record


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed, be it by the process's end
        yield


def _counts(course: Course, result: dict[str, Any]) -> bool:
    """Whether it is of a complete run of the lab's own files."""
    own = course.root / "labs" / str(result.get("lab"))
    try:
        return bool(result.get("complete")) and Path(str(result.get("submission"))).resolve() == own.resolve()
    except (ValueError, RuntimeError):
        return False  # no system has such a path, or it is a link to itself


def _result_files(course: Course) -> list[Path]:
    return sorted((course.root / ".dslab" / "runs").glob("*/result.json"))


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _read_result(path: Path) -> dict[str, Any]:
    return _read(path, _Result)


def _read(path: Path, kind: Any) -> dict[str, Any]:
    """What the file holds; nothing if it is not of that kind."""
    try:
        text = path.read_bytes()
        msgspec.json.decode(text, type=kind)
        found: dict[str, Any] = json.loads(text)
    except (FileNotFoundError, IsADirectoryError, ValueError, RecursionError, msgspec.DecodeError):
        return {}
    return found
