# caught by: test_session_of_an_earlier_life
# replaces: reply_cache.py
# Session 1, session 2, session 3. After a crash again session 1, and the old session 1 is taken for it.
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
WINDOW = 16
MAX_SESSIONS = 8
BUSY = [-32002, 'Too many calls that were not acknowledged', None]
UNKNOWN_SESSION = [-32003, 'Unknown session', None]
Outcome = tuple[Any, Any]

@dataclass
class Session:
    acknowledged: int = 1
    outcomes: dict[int, Outcome] = field(default_factory=dict)

class ReplyCache:

    def __init__(self):
        self.sessions: dict[int, Session] = {}

    def open(self):
        number = self.last = getattr(self, 'last', 0) + 1
        self.sessions[number] = Session()
        if len(self.sessions) > MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        return [number, WINDOW]

    def once(self, session, number, acknowledged, execute):
        caller = self.sessions.pop(session, None)
        if caller is None:
            return (UNKNOWN_SESSION, None)
        self.sessions[session] = caller
        caller.acknowledged = max(caller.acknowledged, acknowledged)
        kept = caller.outcomes.items()
        caller.outcomes = {known: outcome for known, outcome in kept if known >= caller.acknowledged}
        if number < caller.acknowledged:
            return None
        if number >= caller.acknowledged + WINDOW:
            return (BUSY, None)
        if number not in caller.outcomes:
            caller.outcomes[number] = execute()
        return caller.outcomes[number]
