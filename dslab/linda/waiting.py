"""Who waits: the blocked templates, indexed like the tuples, the other way round.

``out`` must find the few clients that a tuple wakes among the many that it does not. Templates are put
together by *shape*: their kinds, and the positions of their actuals. For each shape there is a dictionary
from the keys of these actuals to the waiters, and a tuple is looked up in it by its own keys at these
positions. So ``out`` costs one lookup per shape in use, a handful, however many wait. (A program that
invents a new shape for every request makes it linear in these.)

Waiters of equal keys stand in line, the first comer first. Takers and readers stand apart: a tuple wakes
every reader and one taker.

This module does no I/O and keeps no time.

Source: content-based publish-subscribe does the same with subscriptions (ch. 2, Publish-subscribe
architectures).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter
from typing import Any, Literal, TypeAlias

from dslab.linda.matching import Pattern
from dslab.linda.values import Fields

Verb: TypeAlias = Literal["in", "rd", "notify"]
_Positions: TypeAlias = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that waits for a tuple.

    Attributes:
        number: Its place in the order of arrival.
        deadline_s: When it stops waiting; None for never.
    """

    number: int
    connection: int
    request: int
    verb: Verb
    space: int
    template: Fields
    pattern: Pattern
    transaction: int
    since_s: float
    deadline_s: float | None


@dataclass(slots=True)
class Line:
    """Waiters whose templates have the same shape and keys."""

    takers: OrderedDict[int, Waiter] = field(default_factory=OrderedDict)
    readers: OrderedDict[int, Waiter] = field(default_factory=OrderedDict)


class Waiters:
    """All waiters of a server."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[int, int], dict[tuple[str, _Positions], dict[Any, Line]]] = {}

    def add(self, waiter: Waiter) -> None:
        """Let somebody wait, at the end of his line."""
        pattern = waiter.pattern
        shapes = self._shapes.setdefault((waiter.space, pattern.arity), {})
        lines = shapes.setdefault(_shape(pattern), {})
        line = lines.setdefault(_key(pattern), Line())
        (line.takers if waiter.verb == "in" else line.readers)[waiter.number] = waiter

    def remove(self, waiter: Waiter) -> None:
        """Let him wait no longer."""
        pattern = waiter.pattern
        place = (waiter.space, pattern.arity)
        shapes = self._shapes[place]
        lines = shapes[_shape(pattern)]
        line = lines[_key(pattern)]
        del (line.takers if waiter.verb == "in" else line.readers)[waiter.number]
        if not line.takers and not line.readers:
            del lines[_key(pattern)]
            if not lines:
                del shapes[_shape(pattern)]
                if not shapes:
                    del self._shapes[place]

    def woken(self, space: int, kinds: str, keys: Sequence[Any]) -> list[Line]:
        """Give the lines in which a tuple may wake somebody."""
        shapes = self._shapes.get((space, len(kinds)))
        if shapes is None:
            return []
        found = []
        for (wanted, positions), lines in shapes.items():
            line = lines.get(tuple([keys[position] for position in positions]))
            if line is not None and _admits(wanted, kinds):
                found.append(line)
        return found


def readers(lines: list[Line], fields: Fields) -> list[Waiter]:
    """Give the readers and subscribers that a tuple wakes, the first comer first."""
    woken = [waiter for line in lines for waiter in line.readers.values() if waiter.pattern.accepts(fields)]
    return sorted(woken, key=attrgetter("number"))


def takers(lines: list[Line], fields: Fields) -> Iterator[Waiter]:
    """Give the takers that would take a tuple, the first comer first. One of them gets it."""
    in_order = _merged([line.takers for line in lines if line.takers])
    return (waiter for waiter in in_order if waiter.pattern.accepts(fields))


def _merged(lines: list[OrderedDict[int, Waiter]]) -> Iterator[Waiter]:
    """Merge lines by number, lazily: mostly only the first is wanted."""
    if len(lines) == 1:
        return iter(lines[0].values())
    return merge(*[line.values() for line in lines], key=attrgetter("number"))


def _admits(wanted: str, kinds: str) -> bool:
    return wanted == kinds or all(want in ("*", kind) for want, kind in zip(wanted, kinds, strict=True))


def _shape(pattern: Pattern) -> tuple[str, _Positions]:
    return pattern.kinds, tuple([position for position, _ in pattern.actuals])


def _key(pattern: Pattern) -> Any:
    return tuple([key for _, key in pattern.actuals])
