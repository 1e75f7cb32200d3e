"""Who waits: the blocked templates, indexed like the tuples, the other way round.

``out`` must find the few clients that a tuple wakes among the many that it does not. Templates are put
together by *shape*: their kinds, and the positions of their actuals. For each shape there is a dictionary
from the keys of these actuals to the waiters, and a tuple is looked up in it by its own keys at these
positions. So ``out`` costs one lookup per shape in use, a handful, however many wait. (A program that
invents a new shape for every request makes it linear in these.)

Waiters of equal keys stand in line, the first comer first. Takers and readers have a `Queue` each: a tuple
wakes every reader and one taker.

This module does no I/O and keeps no time.

Source: content-based publish-subscribe does the same with subscriptions (ch. 2, Publish-subscribe
architectures).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from heapq import merge
from operator import attrgetter
from typing import Any, TypeAlias

from dslab.linda.clients import Waiter
from dslab.linda.matching import Pattern, admits
from dslab.linda.values import Fields

Line: TypeAlias = OrderedDict[int, Waiter]
"""Waiters whose templates have the same shape and keys, by number. (Only this kind of dictionary gives its
first entry at once, however many before it have gone.)"""

_Shape: TypeAlias = tuple[str, tuple[int, ...]]


class Queue:
    """Waiters in their lines."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, int], dict[_Shape, dict[Any, Line]]] = {}  # by space and arity

    def add(self, waiter: Waiter) -> None:
        """Let somebody wait, at the end of his line."""
        pattern = waiter.pattern
        where = waiter.space, len(pattern.kinds)
        lines = self._shapes.setdefault(where, {}).setdefault((pattern.kinds, pattern.positions), {})
        line = lines.get(pattern.keys)
        if line is None:
            line = lines[pattern.keys] = OrderedDict()
        line[waiter.number] = waiter

    def remove(self, waiter: Waiter) -> None:
        """Let him wait no longer."""
        pattern = waiter.pattern
        where, shape = (waiter.space, len(pattern.kinds)), (pattern.kinds, pattern.positions)
        shapes = self._shapes[where]
        lines = shapes[shape]
        line = lines[pattern.keys]
        del line[waiter.number]
        if not line:
            del lines[pattern.keys]
            if not lines:
                del shapes[shape]
                if not shapes:
                    del self._shapes[where]

    def last(self, space: int, pattern: Pattern) -> Waiter | None:
        """Give the last in line, if he waits for exactly this: in a line nested patterns may differ."""
        shapes = self._shapes.get((space, len(pattern.kinds)))
        if shapes is None:
            return None
        line = shapes.get((pattern.kinds, pattern.positions), {}).get(pattern.keys)
        last = line[next(reversed(line))] if line else None
        return last if last is not None and last.pattern == pattern else None

    def woken(self, space: int, kinds: str, keys: Sequence[Any], fields: Fields) -> Iterable[Waiter]:
        """Give those that a tuple wakes, the first comer first; lazily, as mostly one is wanted."""
        shapes = self._shapes.get((space, len(kinds)))
        if shapes is None:
            return ()
        lines: list[Line] = []
        for (wanted, positions), by_key in shapes.items():
            line = by_key.get(tuple(map(keys.__getitem__, positions)))
            if line is not None and (wanted == kinds or admits(wanted, kinds)):
                lines.append(line)
        if not lines:
            return ()
        waiters = lines[0].values() if len(lines) == 1 else _merged(lines)
        return (w for w in waiters if not w.pattern.nested or w.pattern.accepts_nested(fields))


def _merged(lines: list[Line]) -> Iterable[Waiter]:
    return merge(*[line.values() for line in lines], key=attrgetter("number"))
