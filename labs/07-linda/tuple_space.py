"""Step 7.2. A tuple space, without the network: who looks for what, and who gets it.

`space_shell.py` has the sockets. It calls `out` and `look` for its clients, one after the other, never two at
the same time; and a client that is blocked is a `Request` that has not been answered yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


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
        # TODO step 7.2: answer the readers and the first taker; without a taker keep the tuple
        raise NotImplementedError("lab 7, step 7.2")

    def look(self, request: Request) -> None:
        """Answer a request with a tuple that matches, or let it wait until there is one."""
        # TODO step 7.2: find one that matches, take it away if need be; else remember the request
        raise NotImplementedError("lab 7, step 7.2")

    def forget(self, request: Request) -> None:
        """Let a request wait no longer: its client has gone, or has waited long enough."""
        # TODO step 7.2: it must not get a tuple any more
        raise NotImplementedError("lab 7, step 7.2")
