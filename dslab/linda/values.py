"""Values: what a field of a tuple may hold, and how it is written down.

====== ==================== =======================================================================
kind   Python type          on the wire (MessagePack)
====== ==================== =======================================================================
``s``  str                  str
``i``  int                  int; beyond 64 bits extension 1: two's complement, big-endian, shortest
``f``  float                float 64
``b``  bool                 bool
``y``  bytes                bin
``n``  None                 nil
``t``  tuple                extension 2: an array of its fields
``l``  list                 extension 3: an array of its elements
``S``  `Handle`             extension 4: the number of a tuple space, as an int
``*``  object (formal only) extension 5: the kind of any formal, one letter of this column
====== ==================== =======================================================================

A tuple that is matched against, a template, may hold types beside values: *formals* beside *actuals*. A
type stands for any value of exactly that type, ``object`` for any value at all. Formals may also stand in a
tuple within a template, not in a list.

**Two values match if and only if they are written the same on the wire.** So ``True`` is not 1, 1 does not
match 1.0, ``"a"`` not ``b"a"``, ``(1,)`` not ``[1]``, ``0.0`` not ``-0.0``; a NaN, of which there are many,
is written as ``math.nan`` is, and so matches any (nobody could ever take it out otherwise). ``None`` is a
value; its type is the formal for it, and comes to the same.

Whatever else Python has does not travel, and is refused with the number of its field: dictionaries, sets, and
also subclasses (an ``IntEnum`` would come out as a different type than it went in).

Source: ch. 2, Shared data spaces (Linda); D. Gelernter, "Generative communication in Linda", 1985, for
actuals and formals. MessagePack: github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import isnan, nan
from types import NoneType
from typing import Any, Final

import msgspec
from msgspec.msgpack import Ext

from dslab.linda.kinds import ANY, KINDS, NAMES, FieldError, Fields, Formal, Handle, show, show_value

__all__ = [
    "FORMAL", "FORMAL_KINDS", "MAX_DEPTH", "MAX_FIELDS", "FieldError", "Fields", "Formal", "Handle",
    "from_wire", "key_of", "keys_of", "not_a_tuple", "show", "to_wire", "too_wide",
]  # fmt: skip

MAX_FIELDS = 1_000
MAX_DEPTH = 32

_CONVERTED = frozenset("ftl")
"""Kinds whose values are not their own keys: Python finds 0.0 and -0.0 equal, and no list hashable."""

_ELSEWHERE, _IN_LIST = "types stand in templates only", "types do not stand in a list, not even of a template"
"""Why there are no formals in some places."""

_BIG, _TUPLE, _LIST, _HANDLE, FORMAL = 1, 2, 3, 4, 5
_SEQUENCES = {_TUPLE: tuple, _LIST: list}
_LEAST, _MOST = -(2**63), 2**64 - 1  # MessagePack has int 64 and uint 64
_FLOAT = struct.Struct("!d")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode

_FORMALS: Final[dict[type, Ext]] = {type_: Ext(FORMAL, kind.encode()) for type_, kind in KINDS.items()}
FORMAL_KINDS: Final[dict[object, str]] = {kind.encode(): kind for kind in NAMES}
"""What a formal stands for, by what it holds on the wire."""

_PLAIN = frozenset({str, float, bool, bytes, NoneType, int})
"""Types that MessagePack tells apart by itself."""


def to_wire(fields: object, *, template: bool = False) -> Fields:
    """Marshal a tuple, or a template.

    Raises:
        FieldError: A field does not travel.
    """
    if type(fields) is not tuple:
        raise not_a_tuple(fields)
    if len(fields) > MAX_FIELDS:
        raise too_wide(fields)
    written: list[Any] = []
    field: Any
    for field in fields:
        kind = type(field)
        if kind is str:
            if not field.isascii():
                break
        elif kind is int:
            if not _LEAST <= field <= _MOST:
                break
        elif kind is float:
            if isnan(field):
                break
        elif kind is type and template and field in _FORMALS:  # most formals are at the top
            written.append(_FORMALS[field])
            continue
        elif kind not in _PLAIN:
            break
        written.append(field)
    else:
        return tuple(written)  # MessagePack writes every field as it is: of nearly all tuples
    return tuple([_field_to_wire(field, number, template) for number, field in enumerate(fields)])


def from_wire(fields: Fields, *, template: bool = False) -> Fields:
    """Unmarshal a tuple, or a template (whose formals become `Formal`).

    Raises:
        FieldError: A field is nothing that `to_wire` writes.
    """
    if len(fields) > MAX_FIELDS:
        raise too_wide(fields)
    if _PLAIN.issuperset(map(type, fields)):
        return fields
    return tuple([_field_from_wire(field, number, template) for number, field in enumerate(fields)])


def not_a_tuple(fields: object) -> FieldError:
    """Say that a value is not a tuple."""
    remedy = 'A tuple of one field is written ("a",).'
    return FieldError(f"{show_value(fields, 80)} is not a tuple.", remedy=remedy)


def too_wide(fields: Fields) -> FieldError:
    """Say that a tuple has too many fields."""
    return FieldError(f"A tuple of {len(fields):,} fields is too wide: at most {MAX_FIELDS:,} travel.")


def key_of(value: Any) -> Any:
    """Give what a value is looked up by: equal exactly for values of one kind that match, and hashable."""
    kind = type(value)
    if kind is float:
        return _FLOAT.pack(nan if isnan(value) else value)
    if kind is tuple or kind is list:
        return _encode([_to_wire(element, 1, _ELSEWHERE) for element in value])
    return value


def keys_of(kinds: str, fields: Fields) -> Sequence[Any]:
    """Give the keys of a tuple's fields."""
    if _CONVERTED.isdisjoint(kinds):
        return fields
    return [key_of(field) for field in fields]


def _field_to_wire(field: Any, number: int, template: bool) -> Any:
    try:
        return _to_wire(field, 0, "" if template else _ELSEWHERE)
    except (ValueError, RecursionError) as error:
        raise FieldError(f"Field {number} {error}.") from error
    except OverflowError as error:
        raise FieldError(f"Field {number} names a tuple space by a number of more than 64 bits.") from error


def _to_wire(value: Any, depth: int, no_formals: str) -> Any:
    """Marshal a value, or a field of a template: there ``no_formals``, why types are refused, is empty."""
    kind = type(value)
    if kind is int:
        return value if _LEAST <= value <= _MOST else Ext(_BIG, _shortest(value))
    if kind is str:
        return _utf8(value)
    if kind in _PLAIN:
        return nan if kind is float and isnan(value) else value
    if depth >= MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    if kind is tuple or kind is list:
        code, why = (_TUPLE, no_formals) if kind is tuple else (_LIST, no_formals or _IN_LIST)
        return Ext(code, _encode([_to_wire(element, depth + 1, why) for element in value]))
    if isinstance(value, Handle):
        return Ext(_HANDLE, _encode(value.number))
    return _formal_to_wire(value, no_formals)


def _formal_to_wire(value: Any, no_formals: str) -> Ext:
    letter: str | None
    if isinstance(value, Formal):
        letter, name = value.kind, NAMES[value.kind]
    elif isinstance(value, type):
        name = value.__name__
        letter = ANY if value is object else "S" if issubclass(value, Handle) else KINDS.get(value)
    else:
        raise ValueError(f"holds {value!r:.60}: a {type(value).__name__} does not travel")  # noqa: TRY004
    if no_formals:
        raise ValueError(f"is the type {name}: {no_formals}")
    if letter is None:
        raise ValueError(f"is the type {name}, of which no value travels")
    return Ext(FORMAL, letter.encode())


def _utf8(text: str) -> str:
    if not text.isascii():
        text.encode()  # a lone surrogate has no UTF-8: UnicodeEncodeError is a ValueError
    return text


def _shortest(value: int) -> bytes:
    return value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True)


def _field_from_wire(field: Any, number: int, template: bool) -> Any:
    if template and type(field) is Ext and field.code == FORMAL:
        return _formal_from_wire(field)
    try:
        return _from_wire(field, 0, template)
    except (ValueError, TypeError) as error:
        raise FieldError(f"Field {number} {error}.") from error


def _from_wire(value: Any, depth: int, template: bool) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) is not Ext:
        raise ValueError(f"is a MessagePack {type(value).__name__}, which no value is written as")
    if depth >= MAX_DEPTH:
        raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
    if value.code == FORMAL and template:
        return _formal_from_wire(value)
    return _extension_from_wire(value, depth, template)


def _extension_from_wire(value: Ext, depth: int, template: bool) -> Any:
    if value.code == _BIG:
        number = int.from_bytes(value.data, "big", signed=True)
        if _LEAST <= number <= _MOST or _shortest(number) != value.data:
            raise ValueError(f"is {show_value(number)}, written longer than need be")
        return number
    try:
        inner = _decode(value.data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"holds an extension {value.code} that is cut short, or too deep") from error
    if value.code == _HANDLE and type(inner) is int and inner >= 0:
        return Handle(inner)
    if value.code in _SEQUENCES and type(inner) is list:
        template = template and value.code == _TUPLE
        return _SEQUENCES[value.code]([_from_wire(element, depth + 1, template) for element in inner])
    raise ValueError(f"is an extension {value.code} that no value is written as")


def _formal_from_wire(value: Ext) -> Formal:
    """Unmarshal a formal.

    Raises:
        FieldError: It is none.
    """
    kind = FORMAL_KINDS.get(value.data)
    if kind is None:
        raise FieldError(f"{value.data!r:.20} is no kind of values.")
    return Formal(kind)
