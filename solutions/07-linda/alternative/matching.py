"""Step 7.1, by writing values down: two values match if they look the same on paper, types and all."""

from typing import Any


def matches(template: tuple[Any, ...], fields: tuple[Any, ...]) -> bool:
    """Match tuple and template."""
    return len(template) == len(fields) and all(map(field_matches, template, fields))


def field_matches(wanted: Any, value: Any) -> bool:
    """Match one field."""
    match wanted:
        case type() if wanted is object:
            return True
        case type():
            return wanted is type(value)
        case tuple():
            return type(value) is tuple and matches(wanted, value)
        case _:
            return (type(wanted), repr(wanted)) == (type(value), repr(value))
