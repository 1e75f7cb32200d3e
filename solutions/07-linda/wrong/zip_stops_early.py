# caught by: test_arity, test_tuples_in_tuples
# replaces: matching.py
# zip ends with the shorter of the two: what the longer one has beyond is never looked at.
from typing import Any


def matches(template: tuple[Any, ...], fields: tuple[Any, ...]) -> bool:
    return all(field_matches(wanted, value) for wanted, value in zip(template, fields, strict=False))


def field_matches(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, type):
        return wanted is object or type(value) is wanted
    if type(wanted) is not type(value):
        return False
    if isinstance(wanted, tuple):
        return matches(wanted, value)
    return bool(wanted == value)
