"""A table: the tuples of one space that have the same kinds of fields, indexed by every field.

What must not depend on the number of tuples N is the time of ``out``, and of finding *or missing* what a
template asks for. The index is a dictionary per position, from a field's key to the numbers of the tuples
that have it, held in the smallest form that will do:

- an int: one tuple;
- a tuple of ints: up to `FEW` of them, each of which can be looked at;
- a `Posting`: many. Such a value is *common*.

A template with one actual is answered by one lookup, since every tuple of that posting matches. With two or
more, if one of the values is not common, at most `FEW` candidates are looked at. If all are common, their
posting lists may be long and their intersection empty; so for every pair of common values in a tuple there
is an entry in a dictionary of pairs. It comes into being when the second of the two becomes common, by
looking at `FEW` tuples: nothing is ever indexed in bulk.

What remains linear, in the number of tuples that share the rarest pair: a template with three or more common
actuals; with two, in tuples of more than `MAX_PAIRED` fields; and one with formals inside a nested tuple.

Numbers rise with time, so a posting list is sorted, and the first is the oldest. Removing only counts; a
list is swept when more than half of it is gone.

This module does no I/O.

Source: inverted indexes and their posting lists: J. Zobel and A. Moffat, "Inverted files for text search
engines", 2006; pairs of what is common only: R. Agrawal and R. Srikant, "Fast algorithms for mining
association rules", 1994 (a pair can be frequent only if both its members are).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice
from typing import Any, TypeAlias

from dslab.linda.kinds import Fields
from dslab.linda.matching import Pattern
from dslab.linda.values import keys_of

FEW = 24
MAX_PAIRED = 8
"""Tuples of more fields have no pairs indexed: n fields have n(n-1)/2 pairs."""

_SWEEP_FROM = 32


class Posting:
    """The numbers of the tuples that have a common value, sorted; some are already gone.

    Attributes:
        value: The value itself, so that tuples that have it can share one object.
        live: How many are still there.
    """

    __slots__ = ("_head", "_numbers", "live", "value")

    def __init__(self, numbers: Iterable[int], value: Any = None) -> None:
        self._numbers = array("Q", numbers)
        self._head = 0
        self.live = len(self._numbers)
        self.value = value

    def add(self, number: int) -> None:
        """Add the newest tuple."""
        self._numbers.append(number)
        self.live += 1

    def drop(self, rows: dict[int, Fields]) -> None:
        """Take note that one of the tuples is no longer in ``rows``."""
        self.live -= 1
        if len(self._numbers) > 2 * self.live + _SWEEP_FROM:
            self._numbers = array("Q", self.numbers(rows))
            self._head = 0

    def oldest(self, rows: dict[int, Fields]) -> int:
        """Give the first that is still there."""
        numbers, head = self._numbers, self._head
        while numbers[head] not in rows:
            head += 1
        self._head = head
        return numbers[head]

    def numbers(self, rows: dict[int, Fields]) -> Iterator[int]:
        """Give all that are still there."""
        return (number for number in islice(self._numbers, self._head, None) if number in rows)


Held: TypeAlias = int | tuple[int, ...] | Posting
Index: TypeAlias = dict[Any, Held]


class Table:
    """Tuples with the same kinds of fields.

    Args:
        kinds: These kinds.
    """

    __slots__ = ("_all", "_by_field", "_by_pair", "kinds", "rows")

    def __init__(self, kinds: str) -> None:
        self.kinds = kinds
        self.rows: dict[int, Fields] = {}
        self._all = Posting(())
        self._by_field: list[Index] = [{} for _ in kinds]
        self._by_pair: Index = {}

    def add(self, number: int, fields: Fields, keys: Sequence[Any]) -> None:
        """Add a tuple under a number higher than all before."""
        self._all.add(number)
        common: list[int] = []
        grown: list[int] = []
        for position, key in enumerate(keys):
            index = self._by_field[position]
            held = index.get(key)
            if held is None:
                index[key] = number
            elif type(held) is Posting:
                held.add(number)
                common.append(position)
            elif _grow(index, key, held, number, fields[position]):
                grown.append(position)
        self.rows[number] = self._shared(fields, keys, common) if common else fields
        if len(keys) <= MAX_PAIRED and (len(common) > 1 or grown):
            self._add_pairs(number, keys, common, grown)

    def remove(self, number: int) -> Fields:
        """Remove a tuple, and give it."""
        fields = self.rows.pop(number)
        keys = keys_of(self.kinds, fields)
        self._all.drop(self.rows)
        common = []
        for position, key in enumerate(keys):
            index = self._by_field[position]
            held = index[key]
            if type(held) is int:
                del index[key]
                continue
            if type(held) is Posting:
                common.append(position)
            self._forget(index, key, number)
        if len(common) > 1 and len(keys) <= MAX_PAIRED:
            for pair in combinations(common, 2):
                self._forget(self._by_pair, _pair(pair, keys), number)
        return fields

    def find(self, pattern: Pattern) -> int | None:
        """Give the number of the oldest tuple that matches a pattern that admits these kinds."""
        held, exact = self._narrowest(pattern)
        if type(held) is int:  # mostly a field or two single one tuple out
            return held if exact or pattern.accepts(self.rows[held]) else None
        if held is None:
            return None
        if exact:
            return held.oldest(self.rows) if isinstance(held, Posting) else held[0]  # type: ignore[index]
        return next(self._accepted(held, pattern), None)

    def find_all(self, pattern: Pattern) -> Iterator[int]:
        """Give the numbers of all that match, the oldest first. The table must not change meanwhile."""
        held, exact = self._narrowest(pattern)
        if held is None:
            return iter(())
        return self._numbers(held) if exact else self._accepted(held, pattern)

    def count(self, pattern: Pattern) -> int:
        """Count those that match."""
        held, exact = self._narrowest(pattern)
        if held is None:
            return 0
        return _size(held) if exact else sum(1 for _ in self._accepted(held, pattern))

    def survey(self, pattern: Pattern, most: int) -> tuple[int | None, int, int]:
        """Count those that match, but compare no more than so many tuples with the pattern.

        Returns:
            The number of the oldest, how many match, and how many more could have been compared; less than
            none if there were too many.
        """
        held, exact = self._narrowest(pattern)
        if held is None or exact:
            return self.find(pattern), self.count(pattern), most
        numbers = [n for n in islice(self._numbers(held), max(0, most)) if pattern.accepts(self.rows[n])]
        return next(iter(numbers), None), len(numbers), most - _size(held)

    # ---- looking up

    def _narrowest(self, pattern: Pattern) -> tuple[Held | None, bool]:
        """Give the shortest list that holds all that match, and whether all of it matches."""
        positions, keys = pattern.positions, pattern.keys
        if not positions:
            return (self._all if self.rows else None), not pattern.nested
        if len(positions) == 1:
            return self._by_field[positions[0]].get(keys[0]), not pattern.nested
        narrowest: Held | None = None
        for at, position in enumerate(positions):
            held = self._by_field[position].get(keys[at])
            if held is None:
                return None, True
            if type(held) is int:
                return held, False
            if narrowest is None or _size(held) < _size(narrowest):
                narrowest = held
        if type(narrowest) is not Posting or len(pattern.kinds) > MAX_PAIRED:
            return narrowest, False
        return self._narrowest_pair(pattern)

    def _narrowest_pair(self, pattern: Pattern) -> tuple[Held | None, bool]:
        narrowest: Held | None = None
        actuals = zip(pattern.positions, pattern.keys, strict=True)
        for (one, one_key), (other, other_key) in combinations(actuals, 2):
            held = self._by_pair.get((one, other, one_key, other_key))
            if held is None:
                return None, True
            if narrowest is None or _size(held) < _size(narrowest):
                narrowest = held
        return narrowest, len(pattern.keys) == 2 and not pattern.nested

    def _accepted(self, held: Held, pattern: Pattern) -> Iterator[int]:
        rows = self.rows
        return (number for number in self._numbers(held) if pattern.accepts(rows[number]))

    def _numbers(self, held: Held) -> Iterator[int]:
        if type(held) is int:
            return iter((held,))
        return held.numbers(self.rows) if isinstance(held, Posting) else iter(held)  # type: ignore[arg-type]

    # ---- keeping the index

    def _shared(self, fields: Fields, keys: Sequence[Any], common: list[int]) -> Fields:
        """Let a tuple share its common values with the others: 64 bytes less for a word."""
        shared = list(fields)
        for position in common:
            shared[position] = self._by_field[position][keys[position]].value  # type: ignore[union-attr]
        return tuple(shared)

    def _add_pairs(self, number: int, keys: Sequence[Any], common: list[int], grown: list[int]) -> None:
        for pair in combinations(common, 2):
            _add(self._by_pair, _pair(pair, keys), number)
        for position in grown:
            self._pair_up(position, keys[position])

    def _pair_up(self, position: int, key: Any) -> None:
        """Index the pairs of a value that has just become common with every other common value."""
        held = self._by_field[position][key]
        pairs: dict[Any, list[int]] = {}
        for number in self._numbers(held):
            keys = keys_of(self.kinds, self.rows[number])
            for other, other_key in enumerate(keys):
                if other != position and type(self._by_field[other].get(other_key)) is Posting:
                    pair = _pair((min(position, other), max(position, other)), keys)
                    pairs.setdefault(pair, []).append(number)
        for pair, numbers in pairs.items():
            self._by_pair[pair] = _held(numbers)

    def _forget(self, index: Index, key: Any, number: int) -> None:
        held = index[key]
        if type(held) is int:
            del index[key]
        elif isinstance(held, Posting):
            held.drop(self.rows)
            if not held.live:
                del index[key]
        else:
            index[key] = _held([other for other in held if other != number])  # type: ignore[union-attr]


def _pair(positions: tuple[int, int], keys: Sequence[Any]) -> tuple[int, int, Any, Any]:
    one, other = positions
    return (one, other, keys[one], keys[other])


def _size(held: Held) -> int:
    if type(held) is int:
        return 1
    return held.live if isinstance(held, Posting) else len(held)  # type: ignore[arg-type]


def _held(numbers: list[int], value: Any = None) -> Held:
    if len(numbers) == 1:
        return numbers[0]
    return tuple(numbers) if len(numbers) <= FEW else Posting(numbers, value)


def _grow(index: Index, key: Any, held: Held, number: int, value: Any) -> bool:
    """Add to a short list: True if the value is common now."""
    few = (held,) if type(held) is int else held
    longer = _held([*few, number], value)  # type: ignore[misc]
    index[key] = longer
    return type(longer) is Posting


def _add(index: Index, key: Any, number: int) -> None:
    held = index.get(key)
    if held is None:
        index[key] = number
    elif type(held) is Posting:
        held.add(number)
    else:
        _grow(index, key, held, number, None)
