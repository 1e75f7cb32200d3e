"""Step 7.2. A tuple space, without the network: who looks for what, and who gets it.

`space_shell.py` has the sockets. It calls `out` and `look` for its clients, one after the other, never two at
the same time; and a client that is blocked is a `Request` that has not been answered yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# BEGIN SOLUTION DELETE
from matching import matches

# END SOLUTION


@dataclass(eq=False)
class Request:
    """Somebody looks for a tuple. Two requests are never equal, whatever they look for.

    Attributes:
        template: What it looks for.
        takes: Whether it takes the tuple away (`in`) or leaves it there (`rd`).
        answer: Call it with the tuple, once.
    """

    template: tuple[Any, ...]
    takes: bool
    answer: Callable[[tuple[Any, ...]], None]


class Space:
    """A multiset of tuples, and the requests that wait for one."""

    def __init__(self) -> None:
        self.tuples: list[tuple[Any, ...]] = []
        self.waiting: list[Request] = []

    def out(self, fields: tuple[Any, ...]) -> None:
        """Put a tuple.

        It goes to every reader that waits for one like it, wherever in the line, and to the taker that has
        waited longest for one like it. If nobody takes it, it stays.
        """
        # BEGIN SOLUTION step-7.2 "answer the readers and the first taker; without a taker keep the tuple"
        taken = False
        for request in [one for one in self.waiting if matches(one.template, fields)]:
            if request.takes and taken:
                continue
            self.waiting.remove(request)
            request.answer(fields)
            taken = taken or request.takes
        if not taken:
            self.tuples.append(fields)
        # END SOLUTION

    def look(self, request: Request) -> None:
        """Answer a request with a tuple that matches, or let it wait until there is one."""
        # BEGIN SOLUTION step-7.2 "find one that matches, take it away if need be; else remember the request"
        for position, fields in enumerate(self.tuples):
            if matches(request.template, fields):
                if request.takes:
                    del self.tuples[position]  # not remove(fields): (1,) == (True,)
                request.answer(fields)
                return
        self.waiting.append(request)
        # END SOLUTION

    def forget(self, request: Request) -> None:
        """Let a request wait no longer: its client has gone, or has waited long enough."""
        # BEGIN SOLUTION step-7.2 "it must not get a tuple any more"
        self.waiting.remove(request)
        # END SOLUTION
