"""The exception tree is the one that its docstring draws."""

import re

import pytest

from dslab.kit import errors
from dslab.kit.errors import DslabError


def drawn() -> dict[str, str]:
    """Class name -> parent's name, read off the drawing in the module's docstring."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(
            r"^ {4}(?P<branch>[│├└─ ]*)(?P<name>[A-Z]\w*(?:Error|Refused|Closed|Silent|Violation|Failed))\b",
            line,
        ):
            depth = len(match["branch"]) // 4
            del path[depth:]
            if path:
                parents[match["name"]] = path[-1]
            path.append(match["name"])
    return parents


def test_the_drawing_is_the_tree() -> None:
    real = {
        name: kind.__bases__[0].__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, DslabError) and kind is not DslabError
    }
    assert drawn() == real


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.UsageError, 2),
        (errors.ConfigError, 2),
        (errors.MachineError, 3),
        (errors.KitError, 3),
        (errors.PeerSilent, 1),
    ],
)
def test_each_class_has_the_exit_status_of_the_command(kind: type[DslabError], status: int) -> None:
    assert kind("It broke.").exit_status == status


def test_an_error_reads_as_message_and_remedy() -> None:
    assert str(errors.UsageError("No lab 9.", remedy="Try dslab labs.")) == "No lab 9. Try dslab labs."
    assert str(errors.KitError("It broke.")) == "It broke."
