# caught by: test_types_are_exact, test_tuples_in_tuples
# replaces: matching.py
# isinstance says what may be used as an int, and a bool may. The type of True is bool.
from typing import Any


def matches(template: tuple[Any, ...], fields: tuple[Any, ...]) -> bool:
    if len(template) != len(fields):
        return False
    return all(field_matches(wanted, value) for wanted, value in zip(template, fields, strict=True))


def field_matches(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, type):
        return isinstance(value, wanted)
    if type(wanted) is not type(value):
        return False
    if isinstance(wanted, tuple):
        return matches(wanted, value)
    return bool(wanted == value)
