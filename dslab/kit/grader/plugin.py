"""The pytest plugin, as light as can be: pytest loads it in every run of every project in this environment.

It registers the options. Everything else is in `dslab.kit.grader.session`, imported when a lab is graded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options of a graded run. They mean what they mean for `dslab test`."""
    group = parser.getgroup("dslab", "dslab: grading a lab")
    group.addoption("--submission", metavar="DIR", help="the files to grade (default: the lab's own folder)")
