"""How many of a step's hints a student was told: ``.dslab/hints.json``, ``{"01-sockets": {"1.3": 2}}``."""

from __future__ import annotations

import json
from pathlib import Path

from dslab.kit.grader.course import Course, Lab

RECORD = Path(".dslab", "hints.json")


def told(course: Course, lab: Lab) -> dict[str, int]:
    """How many hints have been told, by step id."""
    return _read(course.root / RECORD).get(lab.name, {})


def tell_one_more(course: Course, lab: Lab, step_id: str) -> int:
    """Count one more hint of a step; how many have been told then, at most as many as there are."""
    record = _read(course.root / RECORD)
    steps = record.setdefault(lab.name, {})
    steps[step_id] = min(steps.get(step_id, 0) + 1, len(lab.rubric.step(step_id).hints))
    path = course.root / RECORD
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return steps[step_id]


def _read(path: Path) -> dict[str, dict[str, int]]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
