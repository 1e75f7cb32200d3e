"""Deadlines: leases that end and waiting that ends, most of it over before its time.

A heap gives what ends first. What is over early is forgotten at once, but its entry stays in the heap until
it comes to the top, or until most entries are such, when the heap is made anew. So each step takes a time
that grows with the logarithm of how many there are.

Time is an argument; nothing here reads a clock.

Source: ch. 4, Remote procedure call (time-outs); the heap: any book on algorithms, priority queues.
"""

from __future__ import annotations

import heapq
from math import inf
from typing import Generic, TypeVar

_REBUILD_FROM = 64

What = TypeVar("What")


class Deadlines(Generic[What]):
    """What ends when.

    Attributes:
        next_s: When to look again, at the latest; infinity if nothing is ever to end.
    """

    def __init__(self) -> None:
        self.next_s = inf
        self._ends: dict[int, tuple[float, What]] = {}
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, number: int, at_s: float, what: What) -> None:
        """Let something end; its number is nobody else's."""
        self._ends[number] = at_s, what
        heapq.heappush(self._heap, (at_s, number))
        if len(self._heap) > 2 * len(self._ends) + _REBUILD_FROM:
            self._heap = [entry for entry in self._heap if entry[1] in self._ends]
            heapq.heapify(self._heap)
        self.next_s = self._heap[0][0]

    def forget(self, number: int) -> float | None:
        """Let something not end: gives when it would have."""
        ended = self._ends.pop(number, None)
        return None if ended is None else ended[0]

    def at_s(self, number: int) -> float | None:
        """When does this end? None for never."""
        ends = self._ends.get(number)
        return None if ends is None else ends[0]

    def over(self, now_s: float) -> list[tuple[int, What]]:
        """Give what has ended, and forget it."""
        over = []
        while self._heap and self._heap[0][0] <= now_s:
            _, number = heapq.heappop(self._heap)
            ended = self._ends.pop(number, None)
            if ended is not None:
                over.append((number, ended[1]))
        self.next_s = self._heap[0][0] if self._heap else inf
        return over
