# caught by: test_types_are_exact, test_tuples_in_tuples
# replaces: matching.py
# For Python True == 1 == 1.0. Whoever compares values only hands out one for the other.
from typing import Any


def matches(template: tuple[Any, ...], fields: tuple[Any, ...]) -> bool:
    if len(template) != len(fields):
        return False
    return all(field_matches(wanted, value) for wanted, value in zip(template, fields, strict=True))


def field_matches(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, type):
        return wanted is object or type(value) is wanted
    if isinstance(wanted, tuple) and isinstance(value, tuple):
        return matches(wanted, value)
    return bool(wanted == value)
