"""Step 2.4, with one ordered table of sessions and lists as windows."""

import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

WINDOW, MAX_SESSIONS = 16, 8


class ReplyCache:
    """For each session: where its window begins, and what is in it."""

    def __init__(self) -> None:
        self.table: OrderedDict[int, tuple[int, list[Any]]] = OrderedDict()

    def open(self) -> list[int]:
        """A new session."""
        while len(self.table) >= MAX_SESSIONS:
            self.table.popitem(last=False)
        session = uuid.uuid4().int >> 66
        self.table[session] = 1, [None] * WINDOW
        return [session, WINDOW]

    def once(self, session: int, number: int, acknowledged: int, execute: Callable[[], Any]) -> Any:
        """What came of a call."""
        if session not in self.table:
            return [-32003, "Who are you?"], None
        self.table.move_to_end(session)
        begin, window = self.table[session]
        for _ in range(min(acknowledged - begin, WINDOW)):
            window.pop(0)
            window.append(None)
        begin = max(begin, acknowledged)
        self.table[session] = begin, window
        place = number - begin
        if place < 0:
            return None
        if place >= WINDOW:
            return [-32002, "Too much at once"], None
        window[place] = window[place] or execute()
        return window[place]
