"""From the check files to the plan of a run."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from dslab.kit.errors import ConfigError
from dslab.kit.grader.ledger import Planned
from dslab.kit.grader.loading import CheckFile
from dslab.kit.grader.marks import StepMark, mark_of
from dslab.kit.grader.request import GradeRequest


def collect(session: pytest.Session, files: Iterable[Path]) -> None:
    """Collect check files, in the place of what pytest makes of its arguments."""
    add_checks(session, session.items, files)
    hook = session.config.hook
    hook.pytest_collection_modifyitems(session=session, config=session.config, items=session.items)
    hook.pytest_collection_finish(session=session)
    session.testscollected = len(session.items)


def add_checks(session: pytest.Session, items: list[pytest.Item], files: Iterable[Path]) -> None:
    """Add the checks of those files that are not there yet.

    They are no arguments of pytest's: there, a bracket or two colons in a folder's name mean something else.
    """
    for path in files:
        if path not in {item.path for item in items}:
            items += session.genitems(CheckFile.from_parent(session, path=path))


def ignored(request: GradeRequest, path: Path) -> bool | None:
    """Whether pytest should leave that path out: True, or None for "no opinion".

    Whatever lies in the lab's folder or in the submission and is no check file of the lab may be a student's.
    """
    if path in {*request.lab.checks, *request.private} or request.lab.folder.is_relative_to(path):
        return None
    inside = path.is_relative_to(request.lab.folder) or path.is_relative_to(request.submission)
    return True if inside else None


def key_of(item: pytest.Item) -> str:
    """What names a check in a run: its file, then its own name.

    pytest's own id leaves the file out if it lies outside of its root folder, as private checks do.
    """
    names = [node.name for node in item.listchain() if isinstance(node, pytest.Class | pytest.Item)]
    return "::".join([str(item.path), *names])


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
        raise ConfigError(f"{key_of(item)}: belongs to no step.", remedy='Write @step("...") above it.')
    statement = _statement(item)
    if not statement:
        raise ConfigError(
            f"{key_of(item)}: has no docstring.",
            remedy="Write one sentence: the property that holds for a correct submission.",
        )
    private = mark.private or item.path in request.private
    return Planned(key_of(item), item.name, statement, mark.step, private)


def refuse_empty(request: GradeRequest, items: Iterable[pytest.Item]) -> None:
    """Refuse private files in which there is no check: whoever names one wants something checked.

    Raises:
        ConfigError: There is one.
    """
    found = {item.path for item in items}
    for path in request.private:
        if path not in found:
            raise ConfigError(f"{path}: has no check.", remedy='Write a test_... with @step("...") above it.')


def reorder(config: pytest.Config, items: list[pytest.Item], order: Sequence[str]) -> None:
    """Keep the items of these keys, in this order; tell pytest about the others."""
    place = {key: number for number, key in enumerate(order)}
    others = [item for item in items if key_of(item) not in place]
    wanted = [item for item in items if key_of(item) in place]
    items[:] = sorted(wanted, key=lambda item: place[key_of(item)])
    if others:
        config.hook.pytest_deselected(items=others)


def _statement(item: pytest.Item) -> str:
    """The docstring's first paragraph; a parametrized test adds its parameters."""
    documented = inspect.getdoc(getattr(item, "function", None)) or ""
    sentence = " ".join(documented.partition("\n\n")[0].split())
    _, bracket, parameters = item.name.partition("[")
    return f"{sentence} [{parameters}" if sentence and bracket else sentence
