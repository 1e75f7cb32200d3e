"""The one exception tree, and whose fault an error was.

::

    DslabError                     everything that dslab raises on purpose
    ├── UsageError                 the person at the keyboard: wrong lab number, no such folder      exit 2
    │   └── ConfigError            a file of a lab is wrong; names file, place and remedy            exit 2
    ├── MachineError               the machine lacks something: no Docker engine, no free port       exit 3
    ├── KitError                   dslab itself broke: a link's proxy died, a bug                    exit 3
    └── PeerError                  the program at the other end of a wire did it; in a check: *fail*
        ├── PeerRefused            nobody listens there                             did not happen
        ├── PeerClosed             it closed or reset the connection                unknown
        ├── PeerSilent             it did not answer in time                        unknown
        ├── PeerViolation          it answered, but not as the protocol has it      happened
        └── ServiceFailed          a service of the topology ended or never got ready

The question behind half of a course on distributed systems is "did my request happen?" A `PeerError`
answers it as far as the caller can know (`Happened`).

Mechanisms derive their own errors from `PeerError`, so that a check which meets one ends in *fail*; any other
exception that escapes from a check is an *error* and counts neither for nor against the student.

Source: ch. 4, Remote procedure call (what a client may conclude from silence); ch. 8 takes it up again.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class Happened(Enum):
    """What the caller knows about the request whose answer is missing."""

    NO = "did not happen"
    YES = "happened"
    UNKNOWN = "unknown"


class DslabError(Exception):
    """Base of everything that dslab raises on purpose.

    Args:
        message: One sentence: what is wrong, and where.
        remedy: One sentence: what to do about it.
    """

    exit_status: ClassVar[int] = 3

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message


class UsageError(DslabError):
    """A command or a call was used wrongly."""

    exit_status = 2


class ConfigError(UsageError):
    """A file of a lab is wrong. The message names the file and the place in it."""


class MachineError(DslabError):
    """The machine lacks something that was asked for."""


class KitError(DslabError):
    """dslab itself broke."""


class PeerError(DslabError):
    """The program at the other end did it. Raised inside a check, it makes the verdict *fail*."""

    exit_status = 1
    happened: Happened = Happened.UNKNOWN


class PeerRefused(PeerError):
    """Nobody listens at that address."""

    happened = Happened.NO


class PeerClosed(PeerError):
    """The peer closed or reset the connection before it answered."""


class PeerSilent(PeerError):
    """The peer did not answer in time. The message says what was waited for, and how long."""


class PeerViolation(PeerError):
    """The peer's bytes break the protocol."""

    happened = Happened.YES


class ServiceFailed(PeerError):
    """A service of the topology ended too early, or did not get ready. Carries the end of its stderr."""

    def __init__(self, message: str, *, stderr: str = "", remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.stderr = stderr
