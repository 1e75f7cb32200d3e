"""What a lab's grader is tried with: right submissions, the skeleton, wrong ones, cheats, mutants.

A wrong submission is one file that stands in the place of one of the solution's; its first lines say so::

    # caught by: test_next_client            the checks that fail, all of them, and no others
    # replaces: echo_server.py

One in ``wrong/cheats/`` stands among the files that a student gets, and must earn nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dslab.kit.authoring.handout import handouts
from dslab.kit.authoring.mutants import Mutant, make_mutants
from dslab.kit.errors import ConfigError
from dslab.kit.grader.course import Course, Lab

CAUGHT_BY = re.compile(r"# caught by: (.+)")
REPLACES = re.compile(r"# replaces: (\S+)")
EVERYTHING = "everything"
EQUIVALENT = "equivalent.toml"


class Sort(StrEnum):
    """What a submission is for."""

    SOLUTION = "solution"
    ALTERNATIVE = "alternative"
    SKELETON = "skeleton"
    WRONG = "wrong"
    CHEAT = "cheat"
    MUTANT = "mutant"


@dataclass(frozen=True, slots=True)
class Submission:
    """One submission, complete.

    Attributes:
        name: For people: ``wrong/never_gives_up.py``, ``framing.py:26 comparison``.
        sort: What it is for.
        files: Its files by name.
        caught_by: The checks that have to fail; only for wrong ones and cheats.
        mutant: What was changed, if it is one.
    """

    name: str
    sort: Sort
    files: Mapping[str, bytes]
    caught_by: tuple[str, ...] = ()
    mutant: Mutant | None = None


def submissions(course: Course, lab: Lab) -> list[Submission]:
    """Everything that a lab's grader is tried with.

    Raises:
        ConfigError: A wrong submission does not say which checks catch it.
    """
    folder = course.root / "solutions" / lab.name
    solution = {name: (folder / name).read_bytes() for name in lab.rubric.files}
    skeleton = {handout.name: handout.given for handout in handouts(course, lab)}
    found = [Submission("solution", Sort.SOLUTION, solution)]
    found += _alternatives(folder, solution)
    found.append(Submission("skeleton", Sort.SKELETON, skeleton))
    found += _wrongs(folder, "wrong", Sort.WRONG, solution)
    found += _wrongs(folder, "wrong/cheats", Sort.CHEAT, skeleton)
    return found + mutants(solution)


def _alternatives(folder: Path, solution: Mapping[str, bytes]) -> Iterator[Submission]:
    alternative = folder / "alternative"
    if alternative.is_dir():
        own = {path.name: path.read_bytes() for path in sorted(alternative.iterdir()) if path.is_file()}
        yield Submission("alternative", Sort.ALTERNATIVE, {**solution, **own})


def _wrongs(folder: Path, place: str, sort: Sort, others: Mapping[str, bytes]) -> Iterator[Submission]:
    for path in sorted((folder / place).glob("*.py")):
        data = path.read_bytes()
        first, second, *_ = [*data.decode().splitlines(), "", ""]
        caught_by, replaces = CAUGHT_BY.fullmatch(first), REPLACES.fullmatch(second)
        if not caught_by or not replaces:
            raise ConfigError(
                f"{path}:1: does not say which checks catch it.",
                remedy="Its first two lines are: # caught by: test_...  and  # replaces: FILE",
            )
        names = tuple(caught_by[1].split(", "))
        yield Submission(f"{place}/{path.name}", sort, {**others, replaces[1]: data}, names)


def mutants(solution: Mapping[str, bytes]) -> list[Submission]:
    """A submission for each mutant of each file."""
    found = []
    for name in sorted(name for name in solution if name.endswith(".py")):
        for mutant in make_mutants(solution[name].decode(), name):
            files = {**solution, name: mutant.text.encode()}
            title = f"{name}:{mutant.line} {mutant.change}"
            found.append(Submission(title, Sort.MUTANT, files, mutant=mutant))
    return found


def read_equivalent(path: Path, known: Sequence[Mutant]) -> dict[tuple[str, str, str, int], str]:
    """Read ``equivalent.toml``: the mutants that make no difference, each with the reason.

    ::

        [[equivalent]]
        file = "framing.py"
        function = "receive_exactly"
        change = "len(received) < size -> len(received) <= size"
        number = 1                       # may be left out: the first place of that change in the function
        reason = "recv(0) returns b'' at once, which ends the loop as well"

    Raises:
        ConfigError: It is not of that form, or names a mutant that is none.
    """
    if not path.is_file():
        return {}
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}.") from error
    keys = {mutant.key for mutant in known}
    reasons: dict[tuple[str, str, str, int], str] = {}
    for entry in entries:
        missing = {"file", "function", "change", "reason"} - entry.keys()
        if missing:
            raise ConfigError(f"{path}: an entry has no {', '.join(sorted(missing))}.")
        key = (entry["file"], entry["function"], entry["change"], entry.get("number", 1))
        if key not in keys:
            raise ConfigError(
                f"{path}: there is no mutant {key[2]!r} in {key[1]} of {key[0]}.",
                remedy="`dslab prove` prints those that survive as they are written here.",
            )
        reasons[key] = entry["reason"]
    return reasons
