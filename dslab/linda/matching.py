"""Matching: a template made ready to be compared with many tuples.

A `Pattern` splits a template into what can be looked up and what must be looked at:

- its *kinds*, one letter per field, ``*`` for ``object``: tuples are kept in one table per kinds, so that
  every formal of a type is decided by choosing the table;
- its *actuals*, as (position, key): looked up in an index;
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
from dslab.linda.values import FORMAL, check_width, formal_from_wire, from_wire, key_of


class Pattern(msgspec.Struct, frozen=True):
    """A compiled template.

    Attributes:
        kinds: A letter per field.
        actuals: Position and key of each field that is a value.
        nested: Position and pattern of each field that is a tuple with formals inside.
    """

    kinds: str
    actuals: tuple[tuple[int, Any], ...]
    nested: tuple[tuple[int, Pattern], ...]

    @property
    def arity(self) -> int:
        """How many fields a tuple must have."""
        return len(self.kinds)

    def admits(self, kinds: str) -> bool:
        """Could a tuple of these kinds match?"""
        return admits(self.kinds, kinds)

    def accepts(self, fields: Sequence[Any]) -> bool:
        """Does a tuple whose kinds are admitted match?"""
        for position, key in self.actuals:
            value = fields[position]
            if value != key and key_of(value) != key:  # most values are their own keys
                return False
        if not self.nested:
            return True
        return all(pattern.matches(fields[position]) for position, pattern in self.nested)

    def matches(self, fields: Fields) -> bool:
        """Does a tuple match?"""
        return self.admits(kinds_of(fields)) and self.accepts(fields)


def compile_wire(wire: Fields) -> Pattern:
    """Make a pattern of a template as it travels.

    Raises:
        FieldError: It is none.
    """
    kinds = ""
    actuals: list[tuple[int, Any]] = []
    for position, field in enumerate(wire):
        type_ = type(field)
        if type_ in OWN_KEYS:
            kinds += KINDS[type_]
            actuals.append((position, field))
        elif type_ is Ext and field.code == FORMAL:
            kinds += formal_from_wire(field).kind
        else:  # a part of parts, or what nobody writes
            return compile_template(from_wire(wire, template=True))
    check_width(len(wire))
    return Pattern(kinds, tuple(actuals), ())


def compile_template(template: Fields) -> Pattern:
    """Make a pattern of a template as `values.from_wire` gives it."""
    kinds = ""
    actuals: list[tuple[int, Any]] = []
    nested: list[tuple[int, Pattern]] = []
    for position, field in enumerate(template):
        type_ = type(field)
        if type_ is Formal:
            kinds += field.kind
            continue
        kinds += KINDS[type_]
        if type_ is tuple and has_formals(field):
            nested.append((position, compile_template(field)))
        else:
            actuals.append((position, field if type_ in OWN_KEYS else key_of(field)))
    return Pattern(kinds, tuple(actuals), tuple(nested))


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
