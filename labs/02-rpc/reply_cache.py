"""Step 2.4. The memory of at-most-once: which calls were executed, and what came of them.

A call has an identity, ``[session, number, acknowledged]``, whatever id its request has. The session says who
calls; the number is the call's, from 1 on; and the caller needs no reply any more to calls below the third.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WINDOW = 16
"""How many replies are kept for a session: numbers from `acknowledged` on. Calls beyond are refused."""

MAX_SESSIONS = 8
"""How many sessions are known. One more, and the one that was not used for the longest time is forgotten."""

BUSY = [-32002, "Too many calls that were not acknowledged", None]
UNKNOWN_SESSION = [-32003, "Unknown session", None]

Outcome = tuple[Any, Any]
"""The error and the result of a call. One of them is None."""


@dataclass
class Session:
    """What is known of one caller.

    Attributes:
        acknowledged: It needs no reply to calls below this number.
        outcomes: What came of the others that were executed, by number.
    """

    acknowledged: int = 1
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class ReplyCache:
    """The sessions of one server, by their numbers."""

    def __init__(self) -> None:
        self.sessions: dict[int, Session] = {}

    def open(self) -> list[int]:
        """Begin a session: ``[its number, WINDOW]``.

        The number is none that any server has ever given, this one before a crash included (step 2.5).
        """
        # TODO step 2.4: a new number, a new Session; forget one if there are too many
        raise NotImplementedError("lab 2, step 2.4")

    def once(
        self, session: int, number: int, acknowledged: int, execute: Callable[[], Outcome]
    ) -> Outcome | None:
        """What came of a call: execute it if it is new, else give what came of it the first time.

        An unknown session, and a number that is too far ahead, have their errors (above), and the call is not
        executed. None, thus no reply, to a late copy of a call that was acknowledged.
        """
        # TODO step 2.4: unknown? acknowledged? executed? too far ahead? then execute it, once
        raise NotImplementedError("lab 2, step 2.4")
