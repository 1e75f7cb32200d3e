"""The files that students edit: made from ``solutions/``, written to ``labs/``, restored by ``dslab reset``.

Where a course has no ``solutions/`` (what students get), the files as they were given stand in
``skeletons/``, laid out alike: ``skeletons/01-sockets/echo_server.py``.

A file in ``labs/`` that somebody edited is never overwritten unasked. It counts as edited when it is neither
what the solution gives now, nor what it gave in the last commit, nor what dslab itself wrote there last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from dslab.kit.authoring.markers import find_regions
from dslab.kit.authoring.skeleton import make_skeleton
from dslab.kit.errors import ConfigError, UsageError
from dslab.kit.grader.course import Course, Lab

RECORD = Path(".dslab", "skeletons.json")  # what was written last: path -> hash of its bytes


@dataclass(frozen=True, slots=True)
class Handout:
    """One file that a student edits.

    Attributes:
        name: As lab.toml lists it.
        path: Where the student finds it.
        given: Its bytes as they are given.
    """

    name: str
    path: Path
    given: bytes

    @property
    def current(self) -> bytes | None:
        """Its bytes as they are now; None where there is no such file."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def diff(self, root: Path) -> str:
        """What separates the file in labs/ from what it is to be, as a unified diff; empty if nothing."""
        if self.current == self.given:
            return ""
        shown = self.path.relative_to(root).as_posix()
        old, new = (
            (data or b"").decode(errors="replace").splitlines() for data in (self.current, self.given)
        )
        lines = unified_diff(old, new, shown, f"{shown} (from the solution)", lineterm="")
        return "\n".join(lines) or f"{shown}: differs in its line ends"


def handouts(course: Course, lab: Lab) -> list[Handout]:
    """Every file of a lab as it is given.

    Raises:
        ConfigError: A solution file is missing, unlisted or wrongly marked.
        UsageError: The course has neither solutions nor skeletons.
    """
    solutions, skeletons = course.root / "solutions" / lab.name, course.root / "skeletons" / lab.name
    if solutions.is_dir():
        _check_listed(course, lab, solutions)
        return [
            Handout(name, lab.folder / name, _from_solution(course, lab, solutions / name))
            for name in lab.rubric.files
        ]
    if skeletons.is_dir():
        return [
            Handout(name, lab.folder / name, _read(course, skeletons / name)) for name in lab.rubric.files
        ]
    raise UsageError(
        f"There is neither solutions/{lab.name}/ nor skeletons/{lab.name}/ in {course.root}.",
        remedy="Unpack the course again: it should have one of them.",
    )


def _from_solution(course: Course, lab: Lab, path: Path) -> bytes:
    solution, name = _read(course, path), path.relative_to(course.root).as_posix()
    skeleton = make_skeleton(solution, name)
    known = {step.id for step in lab.rubric.steps}
    for region in find_regions(solution.decode(), name) if path.suffix == ".py" else ():
        if region.step is not None and region.step not in known:
            raise ConfigError(
                f"{name}:{region.begin}: lab.toml has no step {region.step}.",
                remedy=f"Its steps are {', '.join(step.id for step in lab.rubric.steps)}.",
            )
    return skeleton


def _read(course: Course, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        name = path.relative_to(course.root).as_posix()
        raise ConfigError(f"{name} is missing; `files` in lab.toml lists it.") from error


def _check_listed(course: Course, lab: Lab, solutions: Path) -> None:
    """A file that nobody listed would be missing from what students get."""
    for path in sorted(solutions.glob("*.py")):
        if path.name not in lab.rubric.files:
            raise ConfigError(
                f"{path.relative_to(course.root).as_posix()} is not listed under `files` in lab.toml.",
                remedy=f"List it, or move it into solutions/{lab.name}/alternative/.",
            )


def edited(course: Course, handout: Handout) -> bool:
    """Somebody wrote into the file in labs/ what no solution gives."""
    current = handout.current
    if current is None or current == handout.given:
        return False
    name = handout.path.relative_to(course.root).as_posix()
    return _hash(current) != _read_record(course.root).get(name) and current != _from_last_commit(
        course, name
    )


def _from_last_commit(course: Course, name: str) -> bytes | None:
    """What the solution of the last commit gives, so that a fresh clone needs no record."""
    solution = name.replace("labs/", "solutions/", 1)
    command = ["git", "-C", str(course.root), "show", f"HEAD:./{solution}"]
    try:
        shown = subprocess.run(command, capture_output=True, check=False, timeout=10)
        return make_skeleton(shown.stdout, solution) if shown.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, ConfigError):
        return None


def write(course: Course, handout: Handout) -> None:
    """Write the file as it is given, and remember that dslab did."""
    handout.path.parent.mkdir(parents=True, exist_ok=True)
    handout.path.write_bytes(handout.given)
    record = _read_record(course.root)
    record[handout.path.relative_to(course.root).as_posix()] = _hash(handout.given)
    path = course.root / RECORD
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def back_up(course: Course, files: list[Handout], stamp: str) -> Path:
    """Copy the files as they are now to ``.dslab/backups/<stamp>/<lab>/``.

    Args:
        course: Where the copy is kept.
        files: What to copy; files that do not exist are left out.
        stamp: The time, as a folder name.

    Returns:
        The folder, one that did not exist before.
    """
    folder = next(
        folder for folder in _numbered(course.root / ".dslab" / "backups" / stamp) if not folder.exists()
    )
    for handout in files:
        if handout.path.is_file():
            target = folder / handout.path.relative_to(course.root / "labs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(handout.path, target)
    return folder


def _numbered(folder: Path) -> Iterator[Path]:
    yield folder
    number = 2
    while True:
        yield folder.with_name(f"{folder.name}-{number}")
        number += 1


def _read_record(root: Path) -> dict[str, str]:
    try:
        record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
