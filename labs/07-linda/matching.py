"""Step 7.1. When does a tuple match a template?

A tuple holds values: str, int, float, bool, bytes, None, tuple spaces, and tuples of such. A template is a
tuple that may hold types as well. A value in a template is called an *actual*, a type a *formal*.
"""

from typing import Any


def matches(template: tuple[Any, ...], fields: tuple[Any, ...]) -> bool:
    """Whether a tuple has as many fields as the template, and each of them matches."""
    # TODO step 7.1: compare the numbers of fields, then field by field
    raise NotImplementedError("lab 7, step 7.1")


def field_matches(wanted: Any, value: Any) -> bool:
    """Whether one field matches.

    - A formal stands for any value of exactly that type, and `object` for any value at all.
    - An actual stands for a value of the same type that is equal to it.
    - A tuple is a template itself: there may be types in it, at any depth.
    """
    # TODO step 7.1: what is wanted: anything, a value of a type, a tuple, or this very value?
    raise NotImplementedError("lab 7, step 7.1")
