"""The store: the tuples of all spaces, in tables, with their leases.

A table holds the tuples of one space whose fields have the same kinds (`table`). A template without
``object`` asks one table; one with it asks every table that it admits. Empty tables go.

Time comes in as an argument; nothing here does I/O.

Source: ch. 2, Shared data spaces; leases: C. Gray and D. Cheriton, "Leases", 1989.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from dslab.linda.deadlines import Deadlines
from dslab.linda.kinds import ANY, Fields
from dslab.linda.matching import Pattern, admits
from dslab.linda.table import Table


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A tuple in a space.

    Attributes:
        number: Its place in the order in which tuples came.
        expires_s: When its lease ends; None for never.
    """

    number: int
    space: int
    fields: Fields
    expires_s: float | None


@dataclass(frozen=True, slots=True)
class Lease:
    """What ends when a tuple's time is up: where it is."""

    space: int
    kinds: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found of the tuples that match.

    Attributes:
        oldest: The table and number of the oldest.
        count: How many were found.
        whole: There are no others.
    """

    oldest: tuple[Table, int] | None
    count: int
    whole: bool


class Store:
    """All tuples that anybody may see.

    Args:
        deadlines: When the leases end, by the tuples' numbers (and what else ends).
    """

    def __init__(self, deadlines: Deadlines[Any]) -> None:
        self._deadlines = deadlines
        self._tables: dict[tuple[int, str], Table] = {}  # by space and kinds
        self._by_arity: dict[tuple[int, int], dict[str, Table]] = {}

    def add(self, stored: Stored, kinds: str, keys: Sequence[Any]) -> None:
        """Add a tuple with a number higher than all before."""
        table = self._tables.get((stored.space, kinds))
        if table is None:
            table = self._tables[stored.space, kinds] = Table(kinds)
            self._by_arity.setdefault((stored.space, len(kinds)), {})[kinds] = table
        table.add(stored.number, stored.fields, keys)
        if stored.expires_s is not None:
            self._deadlines.add(stored.number, stored.expires_s, Lease(stored.space, kinds))

    def find(self, space: int, pattern: Pattern) -> tuple[Table, int] | None:
        """Give the oldest tuple that matches: its table and number."""
        if ANY in pattern.kinds:
            return self._find_oldest(space, pattern)
        table = self._tables.get((space, pattern.kinds))
        if table is None:
            return None
        number = table.find(pattern)
        return None if number is None else (table, number)

    def find_all(self, space: int, pattern: Pattern) -> list[tuple[Table, int]]:
        """Give all that match, the oldest first."""
        found = [
            (table, number) for table in self.tables(space, pattern) for number in table.find_all(pattern)
        ]
        return sorted(found, key=lambda place: place[1])

    def count(self, space: int, pattern: Pattern) -> int:
        """Count those that match."""
        return sum(table.count(pattern) for table in self.tables(space, pattern))

    def survey(self, space: int, pattern: Pattern, most: int) -> Survey:
        """Count those that match, but look at no more than so many tables and tuples."""
        by_kinds = self._by_arity.get((space, len(pattern.kinds)), {})
        oldest: tuple[Table, int] | None = None
        total, left = 0, most - len(by_kinds)
        for kinds, table in islice(by_kinds.items(), most):
            if admits(pattern.kinds, kinds):
                number, count, left = table.survey(pattern, left)
                total += count
                if number is not None and (oldest is None or number < oldest[1]):
                    oldest = table, number
        return Survey(oldest, total, left >= 0)

    def tables(self, space: int, pattern: Pattern) -> list[Table]:
        """Give the tables where a match may be."""
        by_kinds = self._by_arity.get((space, len(pattern.kinds)), {})
        return [table for kinds, table in by_kinds.items() if admits(pattern.kinds, kinds)]

    def remove(self, space: int, table: Table, number: int) -> Stored:
        """Remove a tuple, and give it."""
        fields = table.remove(number)
        if not table.rows:
            self._drop(space, table.kinds)
        return Stored(number, space, fields, self._deadlines.forget(number))

    def expire(self, number: int, lease: Lease) -> None:
        """Remove a tuple whose lease has ended."""
        self.remove(lease.space, self._tables[lease.space, lease.kinds], number)

    def expires_s(self, number: int) -> float | None:
        """When does a tuple's lease end? None for never."""
        return self._deadlines.at_s(number)

    def arities(self, space: int) -> list[int]:
        """Give how many fields the tuples of a space have."""
        return sorted(arity for where, arity in self._by_arity if where == space)

    def all(self) -> Iterator[Stored]:
        """Give every tuple of every space."""
        for (space, _), table in self._tables.items():
            for number, fields in table.rows.items():
                yield Stored(number, space, fields, self._deadlines.at_s(number))

    def _find_oldest(self, space: int, pattern: Pattern) -> tuple[Table, int] | None:
        oldest: tuple[Table, int] | None = None
        for table in self.tables(space, pattern):
            number = table.find(pattern)
            if number is not None and (oldest is None or number < oldest[1]):
                oldest = table, number
        return oldest

    def _drop(self, space: int, kinds: str) -> None:
        """Let an empty table go."""
        del self._tables[space, kinds]
        by_kinds = self._by_arity[space, len(kinds)]
        del by_kinds[kinds]
        if not by_kinds:
            del self._by_arity[space, len(kinds)]
