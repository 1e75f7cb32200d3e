"""Which labs there are, and where.

A course is a folder with ``labs/``; a lab is a folder ``labs/NN-name/`` with a lab.toml, a compose.yaml and
its checks in ``test_name.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dslab
from dslab.kit.errors import ConfigError, UsageError
from dslab.kit.grader.rubric import Rubric, read_rubric

_LAB_FOLDER = re.compile(r"(?P<number>\d{2,})-(?P<name>[a-z0-9][a-z0-9_-]*)\Z")


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab.

    Attributes:
        number: 1 for ``01-sockets``.
        name: The folder's name, ``01-sockets``.
        title: As in lab.toml.
        folder: The lab's folder, absolute.
        rubric: Its lab.toml.
        compose: Its compose.yaml.
        checks: Its check files: ``test_<name>.py`` and nothing else, so that a test file which somebody
            left in the folder is not taken for a check.
    """

    number: int
    name: str
    title: str
    folder: Path
    rubric: Rubric
    compose: Path
    checks: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """A folder with labs."""

    root: Path

    @property
    def lab_names(self) -> tuple[str, ...]:
        """The names of the labs' folders, in order."""
        return tuple(folder.name for folder in self._folders())

    def labs(self) -> tuple[Lab, ...]:
        """Every lab, in order."""
        return tuple(load_lab(folder) for folder in self._folders())

    def lab(self, key: str | Path) -> Lab:
        """The lab that `key` means: ``1``, ``01``, ``sockets``, ``01-sockets`` or the path of its folder.

        Raises:
            UsageError: There is no such lab; the message lists those that there are.
            ConfigError: Its lab.toml is wrong.
        """
        text = str(key)
        for folder in self._folders():
            if text in _names(folder) or (text.isdecimal() and int(text) == _number(folder)):
                return load_lab(folder)
        if (Path(key) / "lab.toml").is_file():
            return load_lab(Path(key))
        listed = ", ".join(self.lab_names) or f"none in {self.root / 'labs'}"
        raise UsageError(f"There is no lab {text!r}.", remedy=f"The labs are: {listed}.")

    def _folders(self) -> Iterator[Path]:
        for folder in sorted((self.root / "labs").iterdir()):
            if _LAB_FOLDER.match(folder.name) and (folder / "lab.toml").is_file():
                yield folder


def find_course(start: Path | None = None) -> Course:
    """The course that `start` (or the current folder) is in; else the one that this package came with.

    Raises:
        UsageError: There is neither.
    """
    here = (start or Path.cwd()).resolve()
    came_with = Path(dslab.__file__).resolve().parent.parent
    for folder in (here, *here.parents, came_with):
        if (folder / "labs").is_dir():
            return Course(folder)
    raise UsageError(f"{here} is in no course.", remedy="Change into the folder that has labs/.")


def load_lab(folder: Path) -> Lab:
    """Read the lab in `folder`.

    Raises:
        ConfigError: Its lab.toml is wrong, or its compose.yaml or its checks are missing.
    """
    folder = folder.resolve()
    rubric = read_rubric(folder / "lab.toml")
    compose = folder / "compose.yaml"
    checks = folder / f"test_{_names(folder)[-1].replace('-', '_')}.py"
    for needed in (compose, checks):
        if not needed.is_file():
            raise ConfigError(f"{needed}: is missing; a lab needs it.")
    return Lab(_number(folder), folder.name, rubric.title, folder, rubric, compose, (checks,))


def _number(folder: Path) -> int:
    match = _LAB_FOLDER.match(folder.name)
    return int(match["number"]) if match else 0


def _names(folder: Path) -> tuple[str, ...]:
    """What a lab may be called: its folder's name, and that without its number."""
    match = _LAB_FOLDER.match(folder.name)
    return (folder.name, match["name"]) if match else (folder.name,)
