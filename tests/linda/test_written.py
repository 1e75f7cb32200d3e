"""Tuples as people write them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given

from dslab.kit.errors import UsageError
from dslab.linda.values import show
from dslab.linda.written import parse_fields
from tests.linda.test_values import tuples, typed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("('a', 1, -2.5, True, None, b'x')", "('a', 1, -2.5, True, None, b'x')"),
        ("(str, int, (bool, object), TupleSpace)", "(str, int, (bool, object), TupleSpace)"),
        ("(TupleSpace(3), [1, 2])", "(TupleSpace(3), [1, 2])"),
        ("7", "(7,)"),
        ("(nan, [inf, -inf])", "(nan, [inf, -inf])"),
    ],
)
def test_tuples_are_written_as_in_python(text: str, shown: str) -> None:
    assert show(parse_fields(text)) == shown


@example((2**5_000, -(2**20_000), [10**5_000]))
@example(("a" * 200, b"'" * 200, [math.nan, (math.inf, -math.inf, -0.0)]))
@given(tuples)
def test_what_is_shown_in_full_can_be_read_back(fields: tuple[Any, ...]) -> None:
    assert typed(parse_fields(show(fields, None))) == typed(fields)


@pytest.mark.parametrize("text", ["-" * 50_000 + "1", "(" * 300, "'a'" + "+ 'a'" * 3_000, "1" * 5_000, "\0"])
def test_a_text_that_breaks_the_parser_is_refused_in_short(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no tuple: \w+") as caught:
        parse_fields(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("(", "'(' was never closed, at column 1."),
        ("", "invalid syntax, at column 1."),
        ("('a', 'b", "unterminated string literal (detected at line 1), at column 7."),
        ("{[]: 1}", "{[]: 1} at column 1 is no value."),
        ("{{}}", "{{}} at column 1 is no value."),
        ("open('x')", "open('x') at column 1 is no value. Write it as in Python"),
        ("('a', b)", "b at column 7 is no type. A string stands in quotes, 'b'; the types are bool, bytes"),
        ("('\u00e4', (1, [f]))", "f at column 12 is no type."),
        ("(1, __import__('os'))", "__import__('os') at column 5 is no value."),
        ("('a', TupleSpace('x'))", "TupleSpace('x') at column 7 is no value."),
        ("TupleSpace(True)", "TupleSpace(True) at column 1 is no value."),
    ],
)
def test_what_is_no_tuple_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match="is no tuple") as caught:
        parse_fields(text)
    assert str(caught.value).startswith(f"{text!r} is no tuple: {complaint}")
