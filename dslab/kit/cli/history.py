"""What a student has earned so far, lab by lab and step by step.

Run folders hold the results, but only the newest runs are kept; so what they say is carried over into
``.dslab/progress.json`` whenever it is asked for. A step counts as it was in the last run that included it,
so that ``dslab test 1 --step 1.3`` updates that step and leaves the others alone. Runs of other files than
the lab's own (``--submission``) do not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from dslab.kit.grader.course import Course, Lab

RECORD = Path(".dslab", "progress.json")


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
    record = _merge(_read(course.root / RECORD), _results(course))
    _write(course.root / RECORD, record)
    return [_standing(lab, record.get(lab.name, {})) for lab in course.labs()]


def standing(course: Course, lab: Lab) -> Standing:
    """How the student stands in one lab."""
    return next(one for one in standings(course) if one.lab.name == lab.name)


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


def _merge(record: dict[str, Any], results: Iterator[dict[str, Any]]) -> dict[str, Any]:
    for result in results:
        steps = record.setdefault(result["lab"], {})
        for step in result["steps"]:
            if result["started"] >= steps.get(step["id"], {}).get("at", ""):
                share = Fraction(str(step["earned"])) / Fraction(str(step["points"]))
                steps[step["id"]] = {"share": str(share.limit_denominator(100)), "at": result["started"]}
    return record


def _results(course: Course) -> Iterator[dict[str, Any]]:
    """The results of complete runs of the labs' own files."""
    for path in sorted((course.root / ".dslab" / "runs").glob("*/result.json")):
        result = _read(path)
        own = course.root / "labs" / str(result.get("lab"))
        if result.get("complete") and Path(str(result.get("submission"))).resolve() == own:
            yield result


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, record: dict[str, Any]) -> None:
    if record and record != _read(path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
