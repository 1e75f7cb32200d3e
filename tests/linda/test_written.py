"""Tuples as people write them."""

from __future__ import annotations

import pytest

from dslab.kit.errors import UsageError
from dslab.linda.values import show
from dslab.linda.written import parse_fields


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("('a', 1, -2.5, True, None, b'x')", "('a', 1, -2.5, True, None, b'x')"),
        ("(str, int, (bool, object), TupleSpace)", "(str, int, (bool, object), TupleSpace)"),
        ("(TupleSpace(3), [1, 2])", "(<TupleSpace 3>, [1, 2])"),
        ("7", "(7,)"),
    ],
)
def test_tuples_are_written_as_in_python(text: str, shown: str) -> None:
    assert show(parse_fields(text)) == shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("(", "'(' was never closed, at column 1."),
        ("", "invalid syntax, at column 1."),
        ("('a', 'b", "unterminated string literal (detected at line 1), at column 7."),
        ("open('x')", "open('x') at column 1 is no value. Write it as in Python"),
        ("('a', b)", "b at column 7 is no type. A string stands in quotes, 'b'; the types are bool, bytes"),
        ("('\u00e4', (1, [f]))", "f at column 12 is no type."),
        ("(1, __import__('os'))", "__import__('os') at column 5 is no value."),
        ("('a', TupleSpace('x'))", "TupleSpace('x') at column 7 is no value."),
    ],
)
def test_what_is_no_tuple_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match="is no tuple") as caught:
        parse_fields(text)
    assert str(caught.value).startswith(f"{text!r} is no tuple: {complaint}")
