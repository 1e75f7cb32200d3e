"""Kinds: the types that a field of a tuple may have, and a template's formals.

A kind is one letter, so that the kinds of a whole tuple are one short string: those of ``("task", 1, 2.5)``
are ``sif``. What each is on the wire, and when two values match, is in `values`.

Source: ch. 2, Shared data spaces (Linda); D. Gelernter, "Generative communication in Linda", 1985, for
actuals and formals.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import NoneType
from typing import Any, Final, TypeAlias

import msgspec

from dslab.kit.errors import UsageError

Fields: TypeAlias = tuple[Any, ...]

ANY: Final = "*"

SHOWN: Final = 60
"""Characters that people are shown of a field, and fields of a tuple."""

LONG_BITS: Final = 256
"""An int of more is written in hexadecimal."""

SHOWN_DEPTH: Final = 64
"""What is nested deeper is not shown: no tuple holds it, and Python would refuse to follow."""


class FieldError(UsageError):
    """A field holds what no tuple or template may hold. The message has the field's number."""


class Handle:
    """A tuple space as a value: its number at the server."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and self.number == other.number

    def __hash__(self) -> int:
        return hash((Handle, self.number))

    def __repr__(self) -> str:
        return f"<TupleSpace {self.number}>"


class Formal(msgspec.Struct, frozen=True):
    """A field of a template that stands for any value of a kind."""

    kind: str


KINDS: Final[dict[type, str]] = {
    str: "s", int: "i", float: "f", bool: "b", bytes: "y", NoneType: "n", tuple: "t", list: "l", Handle: "S"
}  # fmt: skip
NAMES: Final = {kind: type_.__name__ for type_, kind in KINDS.items()}
NAMES.update({"n": "None", "S": "TupleSpace", ANY: "object"})

OWN_KEYS: Final[frozenset[type]] = frozenset({str, int, bool, bytes, NoneType})
"""Types whose values are looked up by themselves. (Python finds 0.0 and -0.0 equal, and no list hashable.)"""


def kinds_of(fields: Sequence[Any]) -> str:
    """Give the kinds of a tuple's fields, a letter each."""
    return _kinds_of_types(tuple(map(type, fields)))


@lru_cache(maxsize=1024)
def _kinds_of_types(types: tuple[type, ...]) -> str:
    return "".join([KINDS[type_] for type_ in types])


def show(fields: Sequence[Any], most: int | None = SHOWN) -> str:
    """Write a tuple or template as Python would, its formals as their types.

    Args:
        fields: The tuple.
        most: How many characters a field may take, and how many fields are shown; None for all, in a form
            that `written.parse_fields` reads.
    """
    return _show(fields, most, ())


def show_value(value: Any, most: int | None = SHOWN) -> str:
    """Write one field, shortened unless told otherwise."""
    return _show_part(value, most, ())


def _show(fields: Sequence[Any], most: int | None, within: tuple[int, ...]) -> str:
    shown = _show_parts(fields, most, within)
    return f"({shown},)" if len(fields) == 1 else f"({shown})"


def _show_part(value: Any, most: int | None, within: tuple[int, ...]) -> str:
    """Write a value that is part of others, whose identities are given."""
    if type(value) is tuple and len(within) < SHOWN_DEPTH:
        return _show(value, most, (*within, id(value)))
    shown = _show_value(value, most, within)
    return shown if most is None or len(shown) <= most else f"{shown[: most - 3]}..."


def _show_value(value: Any, most: int | None, within: tuple[int, ...]) -> str:
    if isinstance(value, Formal):
        return NAMES[value.kind]
    if isinstance(value, Handle):
        return f"TupleSpace({value.number})"
    if type(value) is list:
        too_deep = id(value) in within or len(within) >= SHOWN_DEPTH
        return "[...]" if too_deep else f"[{_show_parts(value, most, (*within, id(value)))}]"
    if type(value) is tuple:
        return "(...)"
    if type(value) is int and value.bit_length() > LONG_BITS:
        return hex(value)  # Python refuses to write a very long one in decimal, and takes long for others
    return repr(value[:most] if type(value) in (str, bytes) else value)


def _show_parts(parts: Sequence[Any], most: int | None, within: tuple[int, ...]) -> str:
    shown = [_show_part(part, most, within) for part in parts[:most]]
    return ", ".join(shown if len(shown) == len(parts) else [*shown, "..."])
