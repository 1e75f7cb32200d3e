"""The mistakes that a mutant can hold: what can be done to one node of a syntax tree. Pure.

One function per kind of node; each yields what may stand in the node's place.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
METHODS = {"sendall": "send", "notify_all": "notify", "append": "insert", "popleft": "pop"}
LOCKS = re.compile(r"lock|mutex|semaphore|condition|guard", re.IGNORECASE)
BUFFER = 64  # a whole number beyond it is the size of a buffer or a queue: any other is as right
WAITS = {"wait", "join", "acquire", "get", "select", "poll", "settimeout"}


@dataclass(frozen=True, slots=True)
class Change:
    """Replace a node's text."""

    node: ast.expr | ast.stmt | ast.ExceptHandler
    operator: str
    now: str  # the text that takes its place
    said: str  # both, for people


def mistakes(node: ast.AST) -> Iterator[Change]:
    """The mistakes that can be made at one node."""
    match node:
        case ast.Compare():
            yield from _compare(node)
        case ast.Constant():
            yield from _constant(node)
        case ast.BinOp(op=op) if type(op) in ARITHMETIC:
            yield _expression(node, "arithmetic", op=ARITHMETIC[type(op)]())
        case ast.BoolOp(op=op):
            yield _expression(node, "logic", op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield Change(node, "negation dropped", f"({ast.unparse(operand)})", _said(node, operand))
        case ast.Call():
            yield from _call(node)
        case ast.ExceptHandler():
            yield from _handler(node)
        case ast.stmt():
            yield from _statement(node)
        case _:
            pass


def _compare(node: ast.Compare) -> Iterator[Change]:
    for index, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:
            ops = [other() if at == index else one for at, one in enumerate(node.ops)]
            yield _expression(node, "comparison", ops=ops)


def _constant(node: ast.Constant) -> Iterator[Change]:
    match node.value:
        case bool(value):
            yield _expression(node, "constant", value=not value)
        case int(value) | float(value) if value <= BUFFER:
            yield _expression(node, "constant", value=value + 1)
            if value > 1:
                yield _expression(node, "constant", value=value - 1)
        case str(value) | bytes(value):
            yield from _text_constant(node, value)
        case _:
            pass


def _text_constant(node: ast.Constant, value: str | bytes) -> Iterator[Change]:
    if value in ("big", "little"):
        yield _expression(node, "byte order", value="little" if value == "big" else "big")
    elif isinstance(value, str) and value[:1] in ("!", ">") and len(value) > 1:
        yield _expression(node, "byte order", value=f"<{value[1:]}")
    else:
        other: str | bytes = ("x" if isinstance(value, str) else b"x") if not value else value[:0]
        yield _expression(node, "constant", value=other)


def _call(node: ast.Call) -> Iterator[Change]:
    for index, keyword in enumerate(node.keywords):
        if keyword.arg and "timeout" in keyword.arg:
            without = [ast.keyword(keyword.arg, ast.Constant(None)) if at == index else one
                       for at, one in enumerate(node.keywords)]  # fmt: skip
            yield _expression(node, "timeout removed", keywords=without)
    if isinstance(node.func, ast.Attribute):
        method = node.func.attr
        if method in WAITS and len(node.args) == 1 and not _is_none(node.args[0]):
            yield _expression(node, "timeout removed", args=[ast.Constant(None)])
        if method in METHODS and method != "append":
            func = ast.Attribute(node.func.value, METHODS[method], ast.Load())
            yield _expression(node, "weaker call", func=func)


def _handler(node: ast.ExceptHandler) -> Iterator[Change]:
    said = f"except {ast.unparse(node.type)}" if node.type else "except"
    if not all(isinstance(one, ast.Pass | ast.Continue) or says_nothing(one) for one in node.body):
        swallowed = deepcopy(node)
        swallowed.body = [ast.Pass()]
        yield Change(node, "exception swallowed", _block(swallowed, node.col_offset), f"{said}: swallowed")
    missed = deepcopy(node)
    missed.type = ast.Tuple([], ast.Load())
    yield Change(node, "exception not caught", _block(missed, node.col_offset), f"{said}: not caught")


def _statement(node: ast.stmt) -> Iterator[Change]:
    first = ast.unparse(node).splitlines()[0]
    match node:
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Break() | ast.Continue() | ast.Assert():
            yield Change(node, "statement dropped", "pass", f"{first} -> pass")
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield Change(node, "return changed", "return None", f"{first} -> return None")
        case ast.If(test=test) if not isinstance(test, ast.Constant | ast.Compare | ast.UnaryOp):
            yield _negated(node)
        case ast.While() | ast.For():
            once = deepcopy(node)
            once.body = [*once.body, ast.Break()]
            yield Change(node, "loop once", _block(once, node.col_offset), f"{first} once")
        case ast.With(items=[item], body=body) if LOCKS.search(ast.unparse(item.context_expr)):
            unlocked = ast.If(ast.Constant(True), body, [])
            text = _block(ast.fix_missing_locations(unlocked), node.col_offset)
            yield Change(node, "lock removed", text, f"{first} -> no lock")
        case _:
            pass


def _negated(node: ast.If) -> Change:
    """Replace the condition only, so that the rest of the statement stays as it is written."""
    now = ast.unparse(ast.UnaryOp(ast.Not(), node.test))
    return Change(node.test, "condition", f"({now})", f"if {ast.unparse(node.test)} -> if {now}")


def _expression(node: ast.expr, operator: str, **fields: object) -> Change:
    """Replace some fields of an expression."""
    other = deepcopy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    now = ast.unparse(ast.fix_missing_locations(other))
    needs_none = isinstance(node, ast.Constant | ast.Call)
    return Change(node, operator, now if needs_none else f"({now})", _said(node, other))


def _said(before: ast.AST, after: ast.AST) -> str:
    return f"{ast.unparse(before)} -> {ast.unparse(after)}"


def _block(node: ast.AST, indent: int) -> str:
    """A compound statement's text, its lines after the first indented like the original."""
    return ast.unparse(node).replace("\n", "\n" + " " * indent)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def says_nothing(node: ast.AST) -> bool:
    """A docstring, or a message to stderr or to a log."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or says_nothing(node.value)
    if not isinstance(node, ast.Call):
        return False
    called = ast.unparse(node.func)
    to_stderr = any(
        keyword.arg == "file" and ast.unparse(keyword.value) == "sys.stderr" for keyword in node.keywords
    )
    return (called == "print" and to_stderr) or called.startswith(
        ("logging.", "log.", "logger.", "sys.stderr.")
    )
