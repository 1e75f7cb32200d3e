from __future__ import annotations

import math
import struct
from contextlib import suppress
from enum import IntEnum
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from dslab.linda.messages import (
    MalformedMessage,
    Out,
    decode_reply,
    decode_request,
    describe,
    encode,
    frames,
)
from dslab.linda.values import (
    MAX_DEPTH,
    FieldError,
    Formal,
    Handle,
    from_wire,
    key_of,
    show,
    to_wire,
)

atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.builds(Handle, st.integers(0, 2**40))
)
values = st.recursive(atoms, lambda inner: st.lists(inner) | st.lists(inner).map(tuple), max_leaves=8)
tuples = st.lists(values, max_size=6).map(tuple)


class Colour(IntEnum):
    RED = 1


def travel(fields: tuple[Any, ...], *, template: bool = False) -> tuple[Any, ...]:
    message = decode_request(encode(Out(7, 0, to_wire(fields, template=template)))[4:])
    assert isinstance(message, Out)
    return from_wire(message.fields, template=template)


def typed(value: Any) -> Any:
    """A value with the types of all its parts, so that == does not take True for 1. One NaN is any."""
    if isinstance(value, tuple | list):
        return type(value), [typed(part) for part in value]
    if type(value) is float:
        value = struct.pack("!d", math.nan if math.isnan(value) else value)
    return type(value), value


@example((2**64 - 1, -(2**63)))
@example((2**64,))
@example((-(2**63) - 1,))
@example(("\u00e4\U0001f600", 1))
@given(tuples)
def test_a_tuple_survives_the_wire(fields: tuple[Any, ...]) -> None:
    assert typed(travel(fields)) == typed(fields)


@given(tuples, tuples)
def test_keys_are_equal_exactly_for_values_that_are_written_the_same(
    one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    for left in one:
        for right in other:
            same = encode(Out(1, 0, to_wire((left,)))) == encode(Out(1, 0, to_wire((right,))))
            assert same == (type(left) is type(right) and key_of(left) == key_of(right))
            hash(key_of(left))


@pytest.mark.parametrize(
    "template",
    [
        (str, int, float, bool, bytes, tuple, list, object),
        (type(None), Handle),
        ("a", (int, ("b", object)), 2**80),
        (str, 2**64, "\u00e4"),
    ],
)
def test_formals_survive_the_wire(template: tuple[Any, ...]) -> None:
    assert show(travel(template, template=True)) == show(to_formals(template))


def to_formals(field: Any) -> Any:
    if isinstance(field, tuple):
        return tuple(to_formals(part) for part in field)
    if isinstance(field, type):
        return Formal(to_wire((field,), template=True)[0].data.decode())
    return field


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (["a"], "['a'] is not a tuple. A tuple of one field is written (\"a\",)."),
        ("ab", "'ab' is not a tuple. A tuple of one field is written (\"a\",)."),
        (("a", {"k": 1}), "Field 1 holds {'k': 1}: a dict does not travel."),
        (("a", "b", {1}), "Field 2 holds {1}: a set does not travel."),
        ((1, Colour.RED), "Field 1 holds <Colour.RED: 1>: a Colour does not travel."),
        ((1 + 2j,), "Field 0 holds (1+2j): a complex does not travel."),
        (((1, [{}]),), "Field 0 holds {}: a dict does not travel."),
        ((int,), "Field 0 is the type int: types stand in templates only."),
        ((1,) * 1_000_000, "A tuple of 1,000,000 fields is too wide: at most 1,000 travel."),
        ((([int],),), "Field 0 is the type int: types stand in templates only."),
        ((1, Formal("i")), "Field 1 is the type int: types stand in templates only."),
        ((1, "\ud800"), "Field 1 'utf-8' codec can't encode character"),
    ],
)
def test_what_does_not_travel_is_refused_with_its_field(fields: object, complaint: str) -> None:
    with pytest.raises(FieldError) as caught:
        to_wire(fields)
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ((dict,), "Field 0 is the type dict, of which no value travels."),
        (("a", [int]), "Field 1 is the type int: types do not stand in a list, not even of a template."),
        (("a", ([int],)), "Field 1 is the type int: types do not stand in a list, not even of a template."),
    ],
)
def test_a_template_with_an_impossible_formal_is_refused(template: tuple[Any, ...], complaint: str) -> None:
    with pytest.raises(FieldError) as caught:
        to_wire(template, template=True)
    assert str(caught.value) == complaint


def test_deep_and_cyclic_values_are_refused() -> None:
    deep: Any = ()
    for _ in range(MAX_DEPTH - 1):
        deep = (deep,)
    assert travel((deep,)) == (deep,)
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for value in ((deep,), cyclic):
        with pytest.raises(FieldError, match="Field 1 is nested deeper than 32 levels"):
            to_wire((0, value))
    bottomless: Any = []
    for level in range(100_000):
        bottomless = [bottomless] if level % 2 else (bottomless,)
    with pytest.raises(FieldError, match=r"^\[\(\[\(\[.*\.\.\. is not a tuple\."):
        to_wire(bottomless)
    assert "[...]" in show((bottomless,), None)


@pytest.mark.parametrize(
    "wire",
    [
        ({},),
        ([1],),
        (Ext(1, b"\x05"),),  # an int that needs no extension
        (Ext(1, b"\0" * 4_000 + b"\x7f" * 4_000),),  # one whose decimal digits Python does not write
        (Ext(2, b""),),
        (Ext(2, b"\x91" * 100_000 + b"\x01"),),
        (Ext(2, b"\x05"),),
        (Ext(2, msgspec.msgpack.encode([{}])),),
        (Ext(4, msgspec.msgpack.encode(-1)),),
        (Ext(5, b"s"),),  # a formal outside a template
        (Ext(99, b""),),
        (1,) * 1_001,
    ],
)
def test_what_nobody_writes_is_refused(wire: tuple[Any, ...]) -> None:
    message = decode_request(encode(Out(1, 0, wire))[4:])
    assert isinstance(message, Out)
    with pytest.raises(FieldError):
        from_wire(message.fields)
    with pytest.raises(FieldError):
        from_wire((Ext(5, b"?"),), template=True)


def test_a_bomb_of_nested_extensions_is_refused() -> None:
    wire = Ext(2, b"\x90")
    for _ in range(1_000):
        wire = Ext(2, msgspec.msgpack.encode([wire]))
    with pytest.raises(FieldError, match="deeper"):
        from_wire((wire,))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_malformed(body: bytes) -> None:
    for decode in (decode_request, decode_reply):
        with suppress(MalformedMessage):
            decode(body)
    with suppress(MalformedMessage):
        describe(b"\0\0\0\0" + body)


def test_deep_arrays_are_malformed() -> None:
    with pytest.raises(MalformedMessage):
        decode_request(b"\x94\x02\x01\x00" + b"\x91" * 100_000)


def test_frames() -> None:
    one = encode(Out(1, 0, ("a",)))
    assert frames(one + b"x") == len(one)
    assert frames(one[:-1]) is None
    assert frames(b"\0\0") is None
    with pytest.raises(ValueError, match="announced"):
        frames(b"\xff\xff\xff\xff")


def test_describe() -> None:
    assert describe(encode(Out(3, 0, to_wire(("bob", (1,), 2.5))))) == "out ('bob', (1,), 2.5) #3"


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        (("a" * 100,), f"('{'a' * 56}...,)"),
        ((b"a" * 100, 1), f"(b'{'a' * 55}..., 1)"),
        (([2] * 100,), f"([{'2, ' * 18}2,...,)"),
        (((0,) * 100,), f"(({'0, ' * 60}...),)"),
        ((2**256, -(2**400)), f"(0x1{'0' * 54}..., -0x1{'0' * 53}...)"),
        ((Handle(3), [Handle(4)]), "(TupleSpace(3), [TupleSpace(4)])"),
    ],
)
def test_what_is_long_is_shown_short(fields: tuple[Any, ...], shown: str) -> None:
    assert show(fields) == shown


def test_an_int_that_python_does_not_write_in_decimal_is_shown() -> None:
    huge = 10**5_000  # no parameter of a test: pytest writes these
    assert show((huge, [huge])).startswith("(0x")
    with pytest.raises(FieldError, match="is not a tuple"):
        to_wire(huge)


def test_a_nan_matches_any_other() -> None:
    """What ``inf - inf`` gives has a sign, and other programs may write other ones."""
    [other] = struct.unpack("!d", bytes.fromhex("fff8000000000001"))
    for one, another in ((math.nan, other), ((1, math.nan), (1, other)), ([math.nan], [other])):
        assert key_of(one) == key_of(another)
        assert encode(Out(1, 0, to_wire((one,)))) == encode(Out(1, 0, to_wire((another,))))
    assert key_of(math.nan) != key_of(math.inf)
    assert key_of(0.0) != key_of(-0.0)
