"""Find solution text in what students get. Pure but for reading the solutions.

A line alone is no secret: ``while True:`` stands in many programs, and a handout may quote the textbook. What
gives a solution away is a *run*: three lines of a region in a row (the whole region, where it is shorter),
compared without indentation and blank lines. Runs that stand in dslab/ or in the students' own files are no
secret either: a solution may do what the reading material does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dslab.kit.authoring.markers import find_regions, source_lines
from dslab.kit.grader.course import Course

RUN_LINES = 3
MIN_CHARACTERS = 40  # of a whole run: `return None` gives nothing away

Run = tuple[str, ...]


def secret_runs(course: Course, public: Mapping[str, bytes]) -> dict[Run, str]:
    """The runs of lines that students must not get, each with the file that it is from.

    Args:
        course: Whose solutions.
        public: Files that are no secret, by name.
    """
    runs: dict[Run, str] = {}
    for path in sorted((course.root / "solutions").rglob("*.py")):
        if "wrong" in path.parts:  # they differ from the solution in a line or two, or teach nothing
            continue
        name = path.relative_to(course.root).as_posix()
        for lines in _secret_parts(path.read_text(encoding="utf-8"), name):
            runs |= {run: name for run in _runs(lines) if sum(map(len, run)) >= MIN_CHARACTERS}
    for data in public.values():
        for _line, run in _runs_with_lines(data.decode(errors="replace"), {len(run) for run in runs}):
            runs.pop(run, None)
    return runs


def find_leaks(text: str, runs: Mapping[Run, str]) -> Iterator[tuple[int, str]]:
    """The lines of a text where a secret run begins, and the file that it is from; one per file at most."""
    seen = set()
    for line, run in _runs_with_lines(text, {len(run) for run in runs}):
        if run in runs and runs[run] not in seen:
            seen.add(runs[run])
            yield line, runs[run]


def _secret_parts(text: str, name: str) -> Iterator[list[str]]:
    """The regions of a solution; the whole of an alternative solution, which has no markers."""
    lines = source_lines(text)
    if "/alternative/" in name:
        yield _bare(lines)
        return
    for region in find_regions(text, name):
        yield _bare(lines[region.begin : region.end - 1])


def _bare(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]


def _runs(lines: list[str]) -> Iterator[Run]:
    length = min(RUN_LINES, len(lines))
    for start in range(len(lines) - length + 1):
        yield tuple(lines[start : start + length])


def _runs_with_lines(text: str, lengths: set[int]) -> Iterator[tuple[int, Run]]:
    numbered = [(number, line.strip()) for number, line in enumerate(source_lines(text), 1) if line.strip()]
    for start, (number, _line) in enumerate(numbered):
        for length in lengths:
            yield number, tuple(line for _, line in numbered[start : start + length])
