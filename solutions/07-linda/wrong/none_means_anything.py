# caught by: test_actuals, test_types_are_exact
# replaces: matching.py
# None as the sign for "whatever it is", as in many an interface. Here it is a value like others.
from typing import Any


def matches(template: tuple[Any, ...], fields: tuple[Any, ...]) -> bool:
    if len(template) != len(fields):
        return False
    return all(field_matches(wanted, value) for wanted, value in zip(template, fields, strict=True))


def field_matches(wanted: Any, value: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, type):
        return wanted is object or type(value) is wanted
    if type(wanted) is not type(value):
        return False
    if isinstance(wanted, tuple):
        return matches(wanted, value)
    return bool(wanted == value)
