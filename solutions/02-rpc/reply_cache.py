"""Step 2.4. The memory of at-most-once: which calls were executed, and what came of them.

A call has an identity, ``[session, number, acknowledged]``, whatever id its request has. The session says who
calls; the number is the call's, from 1 on; and the caller needs no reply any more to calls below the third.
"""

# BEGIN SOLUTION DELETE
import secrets

# END SOLUTION
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
        # BEGIN SOLUTION step-2.4 "a new number, a new Session; forget one if there are too many"
        number = secrets.randbits(62)
        self.sessions[number] = Session()
        if len(self.sessions) > MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]  # the first: `once` moves who calls to the end
        return [number, WINDOW]
        # END SOLUTION

    def once(
        self, session: int, number: int, acknowledged: int, execute: Callable[[], Outcome]
    ) -> Outcome | None:
        """What came of a call: execute it if it is new, else give what came of it the first time.

        An unknown session, and a number that is too far ahead, have their errors (above), and the call is not
        executed. None, thus no reply, to a late copy of a call that was acknowledged.
        """
        # BEGIN SOLUTION step-2.4 "unknown? acknowledged? executed? too far ahead? then execute it, once"
        caller = self.sessions.pop(session, None)
        if caller is None:
            return UNKNOWN_SESSION, None
        self.sessions[session] = caller
        caller.acknowledged = max(caller.acknowledged, acknowledged)
        kept = caller.outcomes.items()
        caller.outcomes = {known: outcome for known, outcome in kept if known >= caller.acknowledged}
        if number < caller.acknowledged:
            return None
        if number >= caller.acknowledged + WINDOW:
            return BUSY, None
        if number not in caller.outcomes:
            caller.outcomes[number] = execute()
        return caller.outcomes[number]
        # END SOLUTION
