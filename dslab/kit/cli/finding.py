"""What ``dslab doctor`` finds: one line of its report.

A finding says what works without the thing that is missing, and the exact command that gets it here. Only
what local runs need is required; a student without Docker, MPI or RabbitMQ misses no point of other labs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from dslab.kit.cli.host import Host


class State(StrEnum):
    """What a look found."""

    OK = "ok"
    OPTIONAL = "optional"  # missing, and only some things need it
    MISSING = "missing"  # local runs need it


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: What was looked at.
        state: What was found.
        found: In words, with versions.
        without: What works without it, and what does not.
        remedy: What to do, a command where there is one.
    """

    name: str
    state: State
    found: str
    without: str = ""
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """As in ``dslab doctor --json``."""
        return asdict(self)


# A look at one thing, on this machine, for the course in that folder. It changes and installs nothing.
Look = Callable[[Host, Path], Finding]


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, State.OK, found)
