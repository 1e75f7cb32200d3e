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
_Place: TypeAlias = tuple[tuple[int, int], _Shape, Any]


class Queue:
    """Waiters in their lines."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, int], dict[_Shape, dict[Any, Line]]] = {}  # by space and arity

    def add(self, waiter: Waiter) -> None:
        """Let somebody wait, at the end of his line."""
        where, shape, key = waiter.place = _place(waiter.space, waiter.pattern)
        lines = self._shapes.setdefault(where, {}).setdefault(shape, {})
        line = lines.get(key)
        if line is None:
            line = lines[key] = OrderedDict()
        line[waiter.number] = waiter

    def remove(self, waiter: Waiter) -> None:
        """Let him wait no longer."""
        where, shape, key = waiter.place
        shapes = self._shapes[where]
        lines = shapes[shape]
        line = lines[key]
        del line[waiter.number]
        if not line:
            del lines[key]
            if not lines:
                del shapes[shape]
                if not shapes:
                    del self._shapes[where]

    def woken(self, space: int, kinds: str, keys: Sequence[Any], fields: Fields) -> Iterable[Waiter]:
        """Give those that a tuple wakes, the first comer first; lazily, as mostly one is wanted."""
        shapes = self._shapes.get((space, len(kinds)))
        if shapes is None:
            return ()
        lines: list[Line] = []
        for (wanted, positions), by_key in shapes.items():
            line = by_key.get(tuple([keys[position] for position in positions]))
            if line is not None and admits(wanted, kinds):
                lines.append(line)
        return (waiter for waiter in _merged(lines) if waiter.pattern.accepts(fields)) if lines else ()


def _merged(lines: list[Line]) -> Iterable[Waiter]:
    if len(lines) == 1:
        return lines[0].values()
    return merge(*[line.values() for line in lines], key=attrgetter("number"))


def _place(space: int, pattern: Pattern) -> _Place:
    actuals = pattern.actuals
    shape = pattern.kinds, tuple([position for position, _ in actuals])
    return (space, len(pattern.kinds)), shape, tuple([key for _, key in actuals])
