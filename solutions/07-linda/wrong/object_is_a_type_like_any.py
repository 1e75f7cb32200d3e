# caught by: test_formals, test_arity
# replaces: matching.py
# No value is of type object and of no other, so that nothing matches it.
from typing import Any


def matches(template: tuple[Any, ...], fields: tuple[Any, ...]) -> bool:
    if len(template) != len(fields):
        return False
    return all(field_matches(wanted, value) for wanted, value in zip(template, fields, strict=True))


def field_matches(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, type):
        return type(value) is wanted
    if type(wanted) is not type(value):
        return False
    if isinstance(wanted, tuple):
        return matches(wanted, value)
    return bool(wanted == value)
