"""Tuples and templates as a person writes them: as in Python, a formal as its type.

::

    ('task', 7)            a tuple, or a template of actuals
    ('task', int)          a template with a formal; object stands for any value
    (TupleSpace(3), [1])   a tuple space by its number, and a list
    7                      the same as (7,)
    (nan, inf, -inf)       floats that Python has no literals for

``show(fields, None)`` writes what is read here. Nothing that is written is executed.
"""

from __future__ import annotations

import ast
from math import inf, nan
from typing import Any, NoReturn

from dslab.kit.errors import UsageError
from dslab.linda.kinds import NAMES, Fields, Formal, Handle, show_value

_TYPES = {name: kind for kind, name in NAMES.items() if name != "None"}
_FLOATS = {"nan": nan, "inf": inf}
_SHOWN = 200
_REMEDY = "Write it as in Python: ('task', 7) or ('task', int)."


def parse_fields(text: str) -> Fields:
    """Read a tuple or a template.

    Raises:
        UsageError: It is none. The message has the column.
    """
    text = text.strip()
    try:
        parsed = ast.parse(text, mode="eval")
        value = _value(parsed.body, text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:  # the last two: it is deep
        column = getattr(error, "offset", None) or 1
        reason = getattr(error, "msg", str(error)) or "it is nested too deep"
        message = f"{show_value(text, _SHOWN)} is no tuple: {reason}, at column {column}."
        raise UsageError(message, remedy=_REMEDY) from error
    return value if isinstance(value, tuple) else (value,)


def _value(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Tuple(elts=elements):
            return tuple([_value(element, text) for element in elements])
        case ast.List(elts=elements):
            return [_value(element, text) for element in elements]
        case ast.Name(id=name) if name in _TYPES:
            return Formal(_TYPES[name])
        case ast.Name(id=name) | ast.UnaryOp(op=ast.USub(), operand=ast.Name(id=name)) if name in _FLOATS:
            return _FLOATS[name] if isinstance(node, ast.Name) else -_FLOATS[name]
        case ast.Name(id=name):
            types = ", ".join(sorted(_TYPES, key=str.lower))
            _refuse(node, text, "is no type", f"A string stands in quotes, {name!r}; the types are {types}.")
        case ast.Call(ast.Name("TupleSpace"), [ast.Constant(number)], []) if type(number) is int:  # no bool
            return Handle(number)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        _refuse(node, text, "is no value", _REMEDY)


def _refuse(node: ast.expr, text: str, why: str, remedy: str) -> NoReturn:
    column = len(text.encode()[: node.col_offset].decode(errors="replace")) + 1
    part = (ast.get_source_segment(text, node) or "")[:_SHOWN]
    message = f"{show_value(text, _SHOWN)} is no tuple: {part} at column {column} {why}."
    raise UsageError(message, remedy=remedy)
