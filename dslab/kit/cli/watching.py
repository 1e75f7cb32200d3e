"""What ``dslab watch`` does next. Pure: an event in, an action out; no clock, no terminal, no process.

::

    start ----------------> run everything
    a file was saved -----> run the first step that fails (everything, if none does)
    that step passes now -> run everything, to see what is next
    key n ----------------> run the next step that fails, after the one in view
    key a ----------------> run everything
    key h, p, q ----------> hint of the step in view, picture of its failure, quit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

KEYS = "h hint   n next   a all   p picture   q quit"


@dataclass(frozen=True, slots=True)
class Run:
    """Run a step with what it needs; None runs everything."""

    step: str | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """Show one more hint of a step."""

    step: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Open a picture; its path is relative to the run's folder."""

    path: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say something in one line."""

    text: str


@dataclass(frozen=True, slots=True)
class Quit:
    """End."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing until the next event."""


Action = Run | Hint | Picture | Say | Quit | Rest


@dataclass(frozen=True, slots=True)
class View:
    """What is known so far.

    Attributes:
        steps: The lab's steps, in order.
        only: The one step that the student wants to see, if so.
        passed: Whether each step passed when it was last run.
        pictures: The picture of each step's first failure, where there is one.
        focus: The step in view: that of the last run, or the first that fails.
    """

    steps: tuple[str, ...]
    only: str | None = None
    passed: Mapping[str, bool] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    focus: str | None = None

    @property
    def failing(self) -> Sequence[str]:
        """The steps that did not pass, in order; those that never ran are not among them."""
        return [step for step in self.steps if self.passed.get(step) is False]


def on_start(view: View) -> Action:
    """The first run."""
    return Run(view.only)


def on_save(view: View) -> Action:
    """A file was saved."""
    return Run(view.only or next(iter(view.failing), None))


def on_result(view: View, ran: str | None, result: Mapping[str, Any]) -> tuple[View, Action]:
    """A run is over.

    Args:
        view: What was known.
        ran: Which step was asked for; None is everything.
        result: The run, as in result.json.
    """
    passed, pictures = dict(view.passed), dict(view.pictures)
    for step in result["steps"]:
        checks = step["checks"]
        passed[step["id"]] = all(check["verdict"] == "pass" for check in checks)
        pictures[step["id"]] = next((check["trace"] for check in checks if check["trace"]), "")
    view = replace(view, passed=passed, pictures=pictures)
    view = replace(view, focus=_focus(view, ran))
    if ran is not None and passed.get(ran) and ran != view.only:
        return view, Run(None)
    return view, Rest()


def _focus(view: View, ran: str | None) -> str | None:
    """The step that was run, if it fails and no earlier one does; else the first one that fails."""
    if ran in view.failing and not set(view.failing) & set(view.steps[: view.steps.index(ran)]):
        return ran
    return next(iter(view.failing), None)


def on_key(view: View, key: str) -> tuple[View, Action]:
    """A key was pressed."""
    match key:
        case "q" | "\x04":  # Ctrl-D
            return view, Quit()
        case "a":
            return view, Run(None)
        case "n":
            return _next(view)
        case "h":
            return view, Hint(view.focus) if view.focus else Say(
                "No step fails; there is nothing to hint at."
            )
        case "p":
            path = view.pictures.get(view.focus or "", "")
            return view, Picture(path) if path else Say("There is no picture: no check of this step failed.")
        case _:
            return view, Say(KEYS)


def _next(view: View) -> tuple[View, Action]:
    failing = view.failing
    if not failing:
        return view, Say("No step fails.")
    at = failing.index(view.focus) + 1 if view.focus in failing else 0
    step = failing[at % len(failing)]
    return replace(view, focus=step, only=step if view.only else None), Run(step)
