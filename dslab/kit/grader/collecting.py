"""From what pytest collected to the plan of a run."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

import pytest

from dslab.kit.errors import ConfigError
from dslab.kit.grader.ledger import Planned
from dslab.kit.grader.marks import StepMark, mark_of
from dslab.kit.grader.request import GradeRequest


def ignored(request: GradeRequest, path: Path) -> bool | None:
    """Whether pytest should leave that path out: True, or None for "no opinion".

    Whatever lies in the lab's folder or in the submission and is no check file of the lab may be a student's.
    """
    if path in {*request.lab.checks, *request.private} or request.lab.folder.is_relative_to(path):
        return None
    inside = path.is_relative_to(request.lab.folder) or path.is_relative_to(request.submission)
    return True if inside else None


def step_mark(item: pytest.Item) -> StepMark | None:
    """What `step` said about a test."""
    return mark_of(getattr(item, "function", None))


def planned(item: pytest.Item, request: GradeRequest) -> Planned:
    """A collected test as a check.

    Raises:
        ConfigError: It belongs to no step, or has no docstring.
    """
    mark = step_mark(item)
    if mark is None:
        raise ConfigError(f"{item.nodeid}: belongs to no step.", remedy='Write @step("...") above it.')
    statement = _statement(item)
    if not statement:
        raise ConfigError(
            f"{item.nodeid}: has no docstring.",
            remedy="Write one sentence: the property that holds for a correct submission.",
        )
    private = mark.private or item.path in request.private
    return Planned(item.nodeid, item.name, statement, mark.step, private)


def reorder(config: pytest.Config, items: list[pytest.Item], order: Sequence[str]) -> None:
    """Keep the items of these node ids, in this order; tell pytest about the others."""
    place = {key: number for number, key in enumerate(order)}
    others = [item for item in items if item.nodeid not in place]
    items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])
    if others:
        config.hook.pytest_deselected(items=others)


def _statement(item: pytest.Item) -> str:
    """The docstring's first paragraph; a parametrized test adds its parameters."""
    documented = inspect.getdoc(getattr(item, "function", None)) or ""
    sentence = " ".join(documented.partition("\n\n")[0].split())
    _, bracket, parameters = item.name.partition("[")
    return f"{sentence} [{parameters}" if sentence and bracket else sentence
