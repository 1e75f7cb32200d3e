# caught by: test_server_executes_once, test_server_forgets_what_is_acknowledged, test_reply_cache_is_bounded, test_server_keeps_errors_too
# replaces: reply_cache.py
# A new call shows that the reply to the one before has arrived. Only if there is never more than one under way.
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
        number = secrets.randbits(62)
        self.sessions[number] = Session()
        if len(self.sessions) > MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        return [number, WINDOW]

    def once(self, session, number, acknowledged, execute):
        caller = self.sessions.pop(session, None)
        if caller is None:
            return (UNKNOWN_SESSION, None)
        self.sessions[session] = caller
        caller.acknowledged = max(caller.acknowledged, number)
        kept = caller.outcomes.items()
        caller.outcomes = {known: outcome for known, outcome in kept if known >= caller.acknowledged}
        if number < caller.acknowledged:
            return None
        if number >= caller.acknowledged + WINDOW:
            return (BUSY, None)
        if number not in caller.outcomes:
            caller.outcomes[number] = execute()
        return caller.outcomes[number]
