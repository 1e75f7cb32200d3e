"""lab.toml: what a lab is called, its steps, their points and their hints.

::

    title = "Sockets and layered protocols"
    chapter = "2.1, 4.1, 4.3"            what to read in the book
    minutes = 180
    files = ["echo_server.py"]           what a student edits and hands in

    [[steps]]
    id = "1.3"
    title = "Messages over a byte stream"
    points = 20                          shared evenly by the step's checks
    needs = ["1.1"]                      steps that must pass first; may be left out
    hints = ["vague", "more", "nearly the answer"]

Every mistake in the file is a `ConfigError` that names the line and says what to write instead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from dslab.kit.errors import ConfigError

LAB_KEYS = ("title", "chapter", "minutes", "files", "steps")
STEP_KEYS = ("id", "title", "points", "needs", "hints")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a lab."""

    id: str
    title: str
    points: Fraction
    needs: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rubric:
    """The whole of a lab.toml. Steps stand in the file's order, and every step after those that it needs."""

    path: Path
    title: str
    chapter: str
    minutes: int
    files: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def max_score(self) -> Fraction:
        """What a complete solution earns."""
        return sum((step.points for step in self.steps), Fraction())

    def step(self, step_id: str) -> Step:
        """The step of that id.

        Raises:
            ConfigError: There is none.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        known = ", ".join(step.id for step in self.steps)
        raise ConfigError(f"{self.path}: there is no step {step_id!r}.", remedy=f"The steps are {known}.")

    def with_needs(self, *step_ids: str) -> tuple[Step, ...]:
        """Those steps and every step that they need, also indirectly, in the file's order."""
        wanted: set[str] = set()
        open_ids = [self.step(step_id).id for step_id in step_ids]
        while open_ids:
            current = open_ids.pop()
            wanted.add(current)
            open_ids += self.step(current).needs
        return tuple(step for step in self.steps if step.id in wanted)


def read_rubric(path: Path) -> Rubric:
    """Read and validate a lab.toml.

    Raises:
        ConfigError: The file is missing or wrong; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}.") from error
    return _Reader(path, text).rubric(table)


class _Reader:
    """Turns the parsed table into a `Rubric`; keeps the text to find the lines that messages name."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()

    def rubric(self, table: Mapping[str, Any]) -> Rubric:
        self._known(table, LAB_KEYS, "the lab", 0)
        steps = tuple(self._step(entry, index) for index, entry in enumerate(self._entries(table)))
        self._check_ids(steps)
        self._check_needs(steps)
        minutes = table.get("minutes", 0)
        if not isinstance(minutes, int) or isinstance(minutes, bool) or minutes < 0:
            self._fail("minutes must be a whole number of minutes", 0, "minutes")
        return Rubric(
            path=self.path,
            title=self._text(table, "title", "the lab", 0),
            chapter=str(table.get("chapter", "")),
            minutes=minutes,
            files=self._files(table),
            steps=steps,
        )

    def _entries(self, table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        entries = table.get("steps")
        if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
            self._fail("a lab needs at least one [[steps]] table", 0, "steps")
        return entries

    def _step(self, entry: Mapping[str, Any], index: int) -> Step:
        line = self._step_line(index)
        step_id = self._text(entry, "id", f"step number {index + 1}", line)
        where = f"step {step_id}"
        self._known(entry, STEP_KEYS, where, line)
        return Step(
            id=step_id,
            title=self._text(entry, "title", where, line),
            points=self._points(entry, where, line),
            needs=self._texts(entry, "needs", where, line),
            hints=self._hints(entry, where, line),
        )

    def _points(self, entry: Mapping[str, Any], where: str, line: int) -> Fraction:
        points = entry.get("points")
        number = isinstance(points, int | float) and not isinstance(points, bool)
        # repr keeps what the author wrote: 12.1 is 121/10 here, not the nearest binary fraction. Infinity
        # and not-a-number fail the comparison.
        if not number or not 0 < points < 1e9:  # type: ignore[operator]
            self._fail(f"{where}: points must be a positive number, not {points!r}", line, "points")
        return Fraction(repr(points))

    def _hints(self, entry: Mapping[str, Any], where: str, line: int) -> tuple[str, ...]:
        hints = self._texts(entry, "hints", where, line)
        if not hints:
            example = 'hints = ["vague", "more", "nearly the answer"]'
            self._fail(f"{where}: hints are missing; write {example}", line, "hints")
        return hints

    def _files(self, table: Mapping[str, Any]) -> tuple[str, ...]:
        files = self._texts(table, "files", "the lab", 0)
        if not files:
            self._fail("files is missing: the names of what a student edits", 0, "files")
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                self._fail(f"{name!r} in files leads out of the lab's folder", 0, "files")
        return files

    def _check_ids(self, steps: tuple[Step, ...]) -> None:
        seen: set[str] = set()
        for index, step in enumerate(steps):
            if step.id in seen:
                self._fail(f"step {step.id} is there twice", self._step_line(index))
            seen.add(step.id)

    def _check_needs(self, steps: tuple[Step, ...]) -> None:
        # A step may need only steps above it. That excludes cycles, and the order of the file is then
        # an order in which the steps can run.
        every = [step.id for step in steps]
        for index, step in enumerate(steps):
            line = self._step_line(index)
            for need in step.needs:
                what = f"step {step.id} needs {need}, which"
                if need not in every:
                    self._fail(f"{what} is no step of this lab{near(need, every)}", line, "needs")
                if need not in every[:index]:
                    self._fail(f"{what} does not stand above it", line, "needs")

    def _text(self, table: Mapping[str, Any], key: str, where: str, line: int) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            self._fail(f'{where}: {key} is missing; write {key} = "..."', line, key)
        return value

    def _texts(self, table: Mapping[str, Any], key: str, where: str, line: int) -> tuple[str, ...]:
        values = table.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v.strip() for v in values):
            self._fail(f'{where}: {key} must be a list of texts, as in ["...", "..."]', line, key)
        return tuple(values)

    def _known(self, table: Mapping[str, Any], known: tuple[str, ...], where: str, line: int) -> None:
        for key in table:
            if key not in known:
                self._fail(f"{where}: unknown key {key!r}{near(key, known)}", line, key)

    def _step_line(self, index: int) -> int:
        starts = [n for n, text in enumerate(self.lines, 1) if text.replace(" ", "").startswith("[[steps]]")]
        return starts[index] if index < len(starts) else 0

    def _line(self, key: str, from_line: int) -> int:
        """The line of `key` in the table that begins at `from_line`; where it is absent, that line."""
        for number, text in enumerate(self.lines[from_line:] if key else (), from_line + 1):
            if text.lstrip().startswith("["):
                break
            if text.partition("=")[0].strip().strip('"') == key:
                return number
        return from_line

    def _fail(self, what: str, line: int, key: str = "") -> NoReturn:
        """Complain about `key` of the table that begins at `line`."""
        raise ConfigError(f"{self.path}:{max(self._line(key, line), 1)}: {what}.")


def near(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message about an unknown word, or nothing."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
