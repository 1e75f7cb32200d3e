"""How many of a step's hints a student was told: ``.dslab/hints.json``, ``{"01-sockets": {"1.3": 2}}``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec

from dslab.kit.grader.course import Course, Lab
from dslab.kit.grader.reports.files import write_whole

RECORD = Path(".dslab", "hints.json")

Told = dict[str, dict[str, Annotated[int, msgspec.Meta(ge=0)]]]


def told(course: Course, lab: Lab) -> dict[str, int]:
    """How many hints have been told, by step id."""
    return _read(course.root / RECORD).get(lab.name, {})


def tell_one_more(course: Course, lab: Lab, step_id: str) -> int:
    """Count one more hint of a step; how many have been told then, at most as many as there are."""
    record = _read(course.root / RECORD)
    steps = record.setdefault(lab.name, {})
    steps[step_id] = min(steps.get(step_id, 0) + 1, len(lab.rubric.step(step_id).hints))
    write_whole(course.root / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return steps[step_id]


def _read(path: Path) -> Told:
    """What the file says; nothing if it is damaged: a program that is graded may have written it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Told)
    except (FileNotFoundError, IsADirectoryError, ValueError, msgspec.DecodeError):
        return {}
