"""The store: the tuples of all spaces, in tables, with their leases.

A table holds the tuples of one space whose fields have the same kinds (`table`). A template without
``object`` asks one table; one with it asks every table that it admits. Empty tables go.

Time comes in as an argument; nothing here does I/O.

Source: ch. 2, Shared data spaces; leases: C. Gray and D. Cheriton, "Leases", 1989.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dslab.linda.matching import Pattern
from dslab.linda.table import Table
from dslab.linda.values import ANY, Fields

_REBUILD_FROM = 64


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


class Store:
    """All tuples that anybody may see."""

    def __init__(self) -> None:
        self._tables: dict[int, dict[int, dict[str, Table]]] = {}  # by space, arity and kinds
        self._expires_s: dict[int, float] = {}
        self._leases: list[tuple[float, int, int, str]] = []  # a heap; what was taken stays in it a while

    def add(self, stored: Stored, kinds: str, keys: Sequence[Any]) -> None:
        """Add a tuple with a number higher than all before."""
        tables = self._tables.setdefault(stored.space, {}).setdefault(len(kinds), {})
        table = tables.get(kinds)
        if table is None:
            table = tables[kinds] = Table(kinds)
        table.add(stored.number, stored.fields, keys)
        if stored.expires_s is not None:
            self._lease(stored.expires_s, stored.number, stored.space, kinds)

    def tables(self, space: int, pattern: Pattern) -> list[Table]:
        """Give the tables where a match may be."""
        by_kinds = self._tables.get(space, {}).get(pattern.arity)
        if by_kinds is None:
            return []
        if ANY not in pattern.kinds:
            table = by_kinds.get(pattern.kinds)
            return [] if table is None else [table]
        return [table for kinds, table in by_kinds.items() if pattern.admits(kinds)]

    def find(self, space: int, pattern: Pattern) -> tuple[Table, int] | None:
        """Give the oldest tuple that matches: its table and number."""
        tables = self.tables(space, pattern)
        if len(tables) == 1:
            number = tables[0].find(pattern)
            return None if number is None else (tables[0], number)
        oldest: tuple[Table, int] | None = None
        for table in tables:
            number = table.find(pattern)
            if number is not None and (oldest is None or number < oldest[1]):
                oldest = table, number
        return oldest

    def find_all(self, space: int, pattern: Pattern) -> list[tuple[Table, int]]:
        """Give all that match, the oldest first."""
        found = [
            (table, number) for table in self.tables(space, pattern) for number in table.find_all(pattern)
        ]
        return sorted(found, key=lambda place: place[1])

    def count(self, space: int, pattern: Pattern) -> int:
        """Count those that match."""
        return sum(table.count(pattern) for table in self.tables(space, pattern))

    def remove(self, space: int, table: Table, number: int) -> Stored:
        """Remove a tuple, and give it."""
        fields = table.remove(number)
        if not table.rows:
            self._drop_table(space, table.kinds)
        return Stored(number, space, fields, self._expires_s.pop(number, None))

    def expires_s(self, number: int) -> float | None:
        """When does a tuple's lease end?"""
        return self._expires_s.get(number)

    def arities(self, space: int) -> list[int]:
        """Give how many fields the tuples of a space have."""
        return sorted(self._tables.get(space, {}))

    def all(self) -> Iterator[Stored]:
        """Give every tuple of every space."""
        for space, by_arity in self._tables.items():
            for by_kinds in by_arity.values():
                for table in by_kinds.values():
                    for number, fields in table.rows.items():
                        yield Stored(number, space, fields, self._expires_s.get(number))

    # ---- leases

    @property
    def next_expiry_s(self) -> float | None:
        """When to look again, at the latest."""
        return self._leases[0][0] if self._leases else None

    def expire(self, now_s: float) -> list[Stored]:
        """Remove the tuples whose lease has ended."""
        gone: list[Stored] = []
        while self._leases and self._leases[0][0] <= now_s:
            _, number, space, kinds = heapq.heappop(self._leases)
            if number in self._expires_s:
                gone.append(self.remove(space, self._tables[space][len(kinds)][kinds], number))
        return gone

    def _lease(self, expires_s: float, number: int, space: int, kinds: str) -> None:
        self._expires_s[number] = expires_s
        heapq.heappush(self._leases, (expires_s, number, space, kinds))
        if len(self._leases) > 2 * len(self._expires_s) + _REBUILD_FROM:
            self._leases = [lease for lease in self._leases if lease[1] in self._expires_s]
            heapq.heapify(self._leases)

    def _drop_table(self, space: int, kinds: str) -> None:
        by_arity = self._tables[space]
        del by_arity[len(kinds)][kinds]
        if not by_arity[len(kinds)]:
            del by_arity[len(kinds)]
            if not by_arity:
                del self._tables[space]
