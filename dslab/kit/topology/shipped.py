"""What of dslab stands on Python's path where it is installed: its package, and the modules beside it.

An installed wheel lists its files. Where dslab runs from its own source tree, ``pyproject.toml`` says what
the wheel would hold::

    [tool.hatch.build.targets.wheel]
    only-include = ["dslab", "module.py"]

Source: PyPA, "Recording installed projects" (RECORD); Hatch, "Build configuration".
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import dslab

PACKAGE = Path(dslab.__file__).parent


def shipped(package: Path = PACKAGE) -> list[Path]:
    """The package's folder, and the files of the modules that are shipped with it."""
    names = _names_in(package.parent / "pyproject.toml") or _names_of(package.name)
    beside = {package.parent / name for name in names if name.endswith(".py")}
    return [package, *sorted(path for path in beside if path.is_file())]


def _names_in(project: Path) -> Iterable[str]:
    """What the wheel would hold; nothing where there is no source tree."""
    if not project.is_file():
        return ()
    tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
    names: list[str] = (
        tool.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {}).get("only-include", [])
    )
    return names


def _names_of(distribution: str) -> Iterable[str]:
    """The names at the top of an installed wheel."""
    try:
        return {path.parts[0] for path in files(distribution) or ()}
    except PackageNotFoundError:
        return ()
