"""Earlier runs as they lie on disk: which there are, what became of their checks, and where the traces are.

A run may have been killed at any moment, so every file may be missing or stop in the middle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dslab.kit.trace.diagram import Caption
from dslab.kit.trace.event import Event
from dslab.kit.trace.recorder import folder_name, read

PICTURE = "picture.html"
DRAWN = frozenset({"fail", "error"})


@dataclass(frozen=True, slots=True)
class TracedCheck:
    """One check of a run.

    Attributes:
        name: Its name; the folder's, where the run left no result.
        folder: Where its traces are.
        step: The step's id, or empty.
        result: Its part of result.json; empty where there is none.
    """

    name: str
    folder: Path
    step: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``pass``, ``fail``, ``skipped``, ``error``, or ``unknown`` where the run was cut off."""
        return str(self.result.get("verdict") or "unknown")

    @property
    def events(self) -> list[Event]:
        """Everything on record."""
        return read(*sorted(self.folder.glob("*.jsonl")))

    def caption(self, run: Run) -> Caption:
        """What stands above its picture."""
        texts = {name: str(self.result.get(name) or "") for name in _CAPTION}
        facts = {
            "lab": run.lab,
            "step": self.step,
            "seed": str(run.facts.get("seed", "")),
            "backend": str(run.facts.get("backend", "")),
        }
        return Caption(
            statement=str(self.result.get("property") or ""),
            facts={name: value for name, value in facts.items() if value},
            **texts,
        )


_CAPTION = ("verdict", "message", "sent", "expected", "actual", "stderr")


@dataclass(frozen=True, slots=True)
class Run:
    """One run's folder, with what run.json and result.json say."""

    path: Path
    facts: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def lab(self) -> str:
        """The lab's folder name, or what the run noted of it."""
        return str(self.result.get("lab") or self.facts.get("lab") or "")

    @property
    def started(self) -> datetime | None:
        """When it began."""
        epoch_s = self.facts.get("epoch_s")
        return datetime.fromtimestamp(epoch_s, tz=UTC) if isinstance(epoch_s, int | float) else None

    @property
    def checks(self) -> list[TracedCheck]:
        """The checks with a trace, in the order of the rubric; those without a result last."""
        folders = {path.name: path for path in _traced(self.path)}
        found = []
        for step, result in self._results():
            folder = folders.pop(folder_name(str(result.get("name"))), None)
            if folder is not None:
                found.append(TracedCheck(str(result["name"]), folder, step, result))
        return found + [TracedCheck(folder.name, folder) for folder in folders.values()]

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed or ended in error, with a trace or without."""
        return [str(result.get("name")) for _, result in self._results() if result.get("verdict") in DRAWN]

    def _results(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for step in self.result.get("steps", []):
            for check in step.get("checks", []):
                yield str(step.get("id", "")), check


def runs(folder: Path) -> list[Run]:
    """The runs in that folder, the newest first."""
    paths = (path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
    return [load(path) for path in sorted(paths, key=lambda path: path.name, reverse=True)]


def load(path: Path) -> Run:
    """The run in that folder."""
    return Run(path, _read_object(path / "run.json"), _read_object(path / "result.json"))


def is_run(path: Path) -> bool:
    """Whether that folder holds a run."""
    return (path / "run.json").is_file() or (path / "result.json").is_file()


def _traced(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and any(folder.glob("*.jsonl")))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
