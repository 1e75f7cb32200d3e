# caught by: test_reply_cache_is_bounded
# replaces: reply_cache.py
# The window is full when there are so many replies in it. And a number from far ahead?
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
WINDOW = 16
'How many replies are kept for a session: numbers from `acknowledged` on. Calls beyond are refused.'
MAX_SESSIONS = 8
'How many sessions are known. One more, and the one that was not used for the longest time is forgotten.'
BUSY = [-32002, 'Too many calls that were not acknowledged', None]
UNKNOWN_SESSION = [-32003, 'Unknown session', None]
Outcome = tuple[Any, Any]
'The error and the result of a call. One of them is None.'

@dataclass
class Session:
    acknowledged: int = 1
    outcomes: dict[int, Outcome] = field(default_factory=dict)

class ReplyCache:

    def __init__(self) -> None:
        self.sessions: dict[int, Session] = {}

    def open(self) -> list[int]:
        number = secrets.randbits(62)
        self.sessions[number] = Session()
        if len(self.sessions) > MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        return [number, WINDOW]

    def once(self, session: int, number: int, acknowledged: int, execute: Callable[[], Outcome]) -> Outcome | None:
        caller = self.sessions.pop(session, None)
        if caller is None:
            return (UNKNOWN_SESSION, None)
        self.sessions[session] = caller
        caller.acknowledged = max(caller.acknowledged, acknowledged)
        kept = caller.outcomes.items()
        caller.outcomes = {known: outcome for known, outcome in kept if known >= caller.acknowledged}
        if number < caller.acknowledged:
            return None
        if number not in caller.outcomes and len(caller.outcomes) >= WINDOW:
            return (BUSY, None)
        if number not in caller.outcomes:
            caller.outcomes[number] = execute()
        return caller.outcomes[number]
