"""Matching: a template made ready to be compared with many tuples.

A `Pattern` splits a template into what can be looked up and what must be looked at:

- its *kinds*, one letter per field, ``*`` for ``object``: tuples are kept in one table per kinds, so that
  every formal of a type is decided by choosing the table;
- its *actuals*, by their positions and keys: looked up in an index;
- its *nested* patterns, the tuples with formals inside: each candidate must be looked at.

The rules of equality are those of `values`. This module does no I/O and keeps no state.

Source: ch. 2, Shared data spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from dslab.linda.kinds import ANY, KINDS, OWN_KEYS, Fields, Formal, kinds_of
from dslab.linda.values import FORMAL, FORMAL_KINDS, MAX_FIELDS, from_wire, key_of, too_wide


class Pattern(msgspec.Struct, frozen=True):
    """A compiled template.

    Attributes:
        kinds: A letter per field.
        positions: Which fields are values.
        keys: What each of these is looked up by.
        nested: Position and pattern of each field that is a tuple with formals inside.
    """

    kinds: str
    positions: tuple[int, ...]
    keys: tuple[Any, ...]
    nested: tuple[tuple[int, Pattern], ...]

    def accepts(self, fields: Sequence[Any]) -> bool:
        """Does a tuple whose kinds are admitted match?"""
        keys = self.keys
        for at, position in enumerate(self.positions):  # zip(strict=True) takes twice as long
            key, value = keys[at], fields[position]
            if value != key and key_of(value) != key:  # most values are their own keys
                return False
        return not self.nested or self.accepts_nested(fields)

    def accepts_nested(self, fields: Sequence[Any]) -> bool:
        """Does a tuple match whose kinds and actuals do?"""
        return all(pattern.matches(fields[position]) for position, pattern in self.nested)

    def matches(self, fields: Fields) -> bool:
        """Does a tuple match?"""
        return admits(self.kinds, kinds_of(fields)) and self.accepts(fields)


def compile_wire(wire: Fields) -> Pattern:
    """Make a pattern of a template as it travels.

    Raises:
        FieldError: It is none.
    """
    if len(wire) > MAX_FIELDS:
        raise too_wide(wire)
    kinds = ""
    positions: list[int] = []
    keys: list[Any] = []
    for position, field in enumerate(wire):
        type_ = type(field)
        if type_ in OWN_KEYS:
            kinds += KINDS[type_]
            positions.append(position)
            keys.append(field)
        elif type_ is Ext and field.code == FORMAL and field.data in FORMAL_KINDS:
            kinds += FORMAL_KINDS[field.data]
        else:  # it has parts, or is what nobody writes
            return compile_template(from_wire(wire, template=True))
    return Pattern(kinds, tuple(positions), tuple(keys), ())


def compile_template(template: Fields) -> Pattern:
    """Make a pattern of a template as `values.from_wire` gives it."""
    kinds = ""
    positions: list[int] = []
    keys: list[Any] = []
    nested: list[tuple[int, Pattern]] = []
    for position, field in enumerate(template):
        if type(field) is Formal:
            kinds += field.kind
            continue
        kinds += KINDS[type(field)]
        if type(field) is tuple and has_formals(field):
            nested.append((position, compile_template(field)))
        else:
            positions.append(position)
            keys.append(key_of(field))
    return Pattern(kinds, tuple(positions), tuple(keys), tuple(nested))


def anything(arity: int) -> Pattern:
    """Make a pattern that every tuple of so many fields matches."""
    return Pattern(ANY * arity, (), (), ())


def has_formals(field: Any) -> bool:
    """Is there a formal in this tuple, at any depth?"""
    if type(field) is tuple:
        return any(map(has_formals, field))
    return isinstance(field, Formal)


def admits(wanted: str, kinds: str) -> bool:
    """Could a tuple of these kinds match a template of those wanted?"""
    if wanted == kinds:
        return True
    return len(wanted) == len(kinds) and all(w in (ANY, k) for w, k in zip(wanted, kinds, strict=True))
