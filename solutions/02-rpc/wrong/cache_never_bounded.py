# caught by: test_server_forgets_what_is_acknowledged, test_reply_cache_is_bounded, test_sessions_are_bounded, test_replies_do_not_pile_up
# replaces: reply_cache.py
# Keeps every reply for ever, to be on the safe side. Memory is not endless, and who sends numbers decides how much.
import secrets

WINDOW = 16
MAX_SESSIONS = 8
UNKNOWN_SESSION = [-32003, "Unknown session", None]


class ReplyCache:
    def __init__(self):
        self.sessions = {}

    def open(self):
        number = secrets.randbits(62)
        self.sessions[number] = {}
        return [number, WINDOW]

    def once(self, session, number, acknowledged, execute):
        if session not in self.sessions:
            return UNKNOWN_SESSION, None
        outcomes = self.sessions[session]
        if number not in outcomes:
            outcomes[number] = execute()
        return outcomes[number]
