"""What an interface promises: its methods, as they are written in its source.

Hints and defaults are read from the source, not from what Python has made of them, so that they can be
written down again as they are, and mean the same to who reads them. The names in them are imported from where
the interface's own module has them. What cannot be called from elsewhere is refused, and how to write it
instead is said.

Source: ch. 4, Remote procedure call (interface definition languages).
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import inspect
import sys
import textwrap
import typing
from collections import abc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NoReturn

import msgspec

from dslab.kit.errors import UsageError

_NEVER_ARRIVES: Final = (
    abc.Awaitable, abc.Coroutine, abc.Iterator, abc.Generator, abc.AsyncIterable, abc.AsyncIterator,
    abc.AsyncGenerator, abc.Callable, type,
)  # fmt: skip
"""What no value is that has travelled."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a method, as it is written. The separator is what its kind needs: ``*`` or ``/``."""

    name: str
    hint: ast.expr
    default: ast.expr | None
    separator: str


@dataclass(frozen=True, slots=True)
class Method:
    """A method of an interface."""

    name: str
    parameters: list[Parameter]
    returns: ast.expr
    waits: bool
    defined: Callable[..., Any]

    @property
    def named(self) -> bool:
        """Do its arguments travel by name?"""
        return any(each.separator == "*" for each in self.parameters)

    @property
    def hints(self) -> list[ast.expr]:
        """What its result and its parameters are."""
        return [self.returns, *(each.hint for each in self.parameters)]

    @property
    def written(self) -> dict[str, str]:
        """What the templates of both stubs need."""
        return {
            "define": "async def" if self.waits else "def",
            "wait": "await " if self.waits else "",
            "method": self.name,
            "returns": ast.unparse(self.returns),
        }

    def declare(self, hint_of: Callable[[Parameter], str]) -> str:
        """Write its parameters down."""
        parts, last = ["self"], ""
        for each in self.parameters:
            if last == "/" != each.separator:
                parts.append("/")
            if each.separator == "*" != last:
                parts.append("*")
            last = each.separator
            default = f" = {ast.unparse(each.default)}" if each.default else ""
            parts.append(f"{each.name}: {hint_of(each)}{default}")
        return ", ".join([*parts, "/"] if last == "/" else parts)


def methods_of(interface: type) -> list[Method]:
    """Read the methods of an interface, and of those that it is derived from.

    Raises:
        UsageError: It promises what cannot be called from elsewhere.
    """
    methods: dict[str, Method] = {}
    for kind in reversed(interface.__mro__):
        if kind.__module__ in ("builtins", "typing", "typing_extensions"):
            continue
        members = {name: member for name, member in vars(kind).items() if not name.startswith("_")}
        for name in inspect.get_annotations(kind):
            if not name.startswith("_"):
                members.setdefault(name, property())
        for name, member in members.items():
            who = f"{kind.__name__}.{name}"
            if inspect.isfunction(member):
                methods[name] = _read(who, name, member)
            elif isinstance(member, property | classmethod | staticmethod):
                refuse(who, "it is no method of an object", f"Write def {name}(self, ...).")
    return list(methods.values())


def _read(who: str, name: str, member: Callable[..., Any]) -> Method:
    """Read a method, from its source."""
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(member))).body
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{who}: its source cannot be read: {error}.") from error
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        refuse(who, "it is no method", "Define it by def.")
    if definition.returns is None:
        refuse(who, "it does not say what it returns", "Write -> None if it is nothing.")
    returns = _unquoted(definition.returns)
    parameters = _parameters(who, definition.args)
    method = Method(name, parameters, returns, isinstance(definition, ast.AsyncFunctionDef), member)
    _check_names(who, method)
    _check_hints(who, method)
    return method


def _parameters(who: str, declared: ast.arguments) -> list[Parameter]:
    """Read the parameters of a method, without ``self``."""
    for collected in (declared.vararg, declared.kwarg):
        if collected is not None:
            refuse(who, f"*{collected.arg} takes whatever comes", "Say which arguments there are.")
    if declared.posonlyargs[1:] and declared.kwonlyargs:
        refuse(who, "some arguments have no name, and some nothing else", "Leave out the / or the *.")
    ordered = [*declared.posonlyargs, *declared.args]
    missing = [None] * (len(ordered) - len(declared.defaults))
    separators = ["/"] * len(declared.posonlyargs) + [""] * len(declared.args)
    all_parameters = [
        *zip(ordered, [*missing, *declared.defaults], separators, strict=True),
        *(
            (each, default, "*")
            for each, default in zip(declared.kwonlyargs, declared.kw_defaults, strict=True)
        ),
    ]
    return [_parameter(who, *each) for each in all_parameters[1:]]


def _parameter(who: str, declared: ast.arg, default: ast.expr | None, separator: str) -> Parameter:
    name = declared.arg
    if declared.annotation is None:
        refuse(who, f"{name} has no type hint", f"Write {name}: int, or whatever it is.")
    if name.startswith("_"):
        refuse(who, f"the name of the parameter {name} is private", "Call it something else.")
    if isinstance(default, ast.Constant) and default.value is ...:
        refuse(who, f"the default of {name} is left open", "Write down the value itself.")
    return Parameter(name, _unquoted(declared.annotation), default, separator)


def _check_names(who: str, method: Method) -> None:
    """A parameter must not be called as what a hint of its method names: the stubs use both in one place."""
    named = {name for hint in method.hints for name in names_in(hint)}
    for hidden in named & {each.name for each in method.parameters}:
        refuse(who, f"the parameter {hidden} hides the type {hidden}", "Call it something else.")


def _check_hints(who: str, method: Method) -> None:
    """See whether a value of each type can be told when it has travelled."""
    for hint in method.hints:
        for name in names_in(hint):
            home(method.defined, who, name)
    try:
        hints = typing.get_type_hints(method.defined, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{who}: {error}.", remedy="Import what its hints name, and not for TYPE_CHECKING only."
        ) from error
    for name, hint in hints.items():
        what = "its result" if name == "return" else f"the parameter {name}"
        try:
            msgspec.msgpack.Decoder(hint)
        except TypeError as error:
            refuse(who, f"{what} cannot be checked: {error}", "Give it another type.")
        for part in _parts(hint):
            if any(part is each for each in _NEVER_ARRIVES):
                refuse(who, f"{what} does not travel: {hint}", "Give it the type of a value, such as a list.")
            if isinstance(part, typing.TypeVar):
                refuse(who, f"the type of {what} is open: {part.__name__}", "Name the type.")


def _parts(hint: Any) -> Iterator[Any]:
    """Give the types that a hint is made of."""
    yield typing.get_origin(hint) or hint
    if typing.get_origin(hint) is not typing.Literal:
        for part in typing.get_args(hint):
            yield from _parts(part)


def refuse(who: str, why: str, remedy: str) -> NoReturn:
    """Refuse what an interface promises."""
    raise UsageError(f"{who}: {why.removesuffix('.')}.", remedy=remedy)


# ---- names


class _Unquote(ast.NodeTransformer):
    """Takes the quotes off a hint: ``list["Account"]``. Those in a Literal belong there."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return _unquoted(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        match ast.unparse(node.value).rpartition(".")[2], node.slice:
            case "Literal", _:
                pass
            case "Annotated", ast.Tuple(elts=[first, *_] as parts):
                parts[0] = _unquoted(first)
            case _:
                node.slice = _unquoted(node.slice)
        return node


def _unquoted(hint: ast.expr) -> ast.expr:
    unquoted: ast.expr = _Unquote().visit(hint)
    return unquoted


def names_in(expression: ast.expr) -> set[str]:
    """Give the names that an expression looks up."""
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def home(defined: Callable[..., Any], who: str, name: str) -> str:
    """Write the import of a name that a method's source uses; nothing for what is built in."""
    module = sys.modules[defined.__module__]
    if (line := _imported(module).get(name)) is not None:
        return line
    if name in vars(module):
        return import_from(module.__name__, name)
    if hasattr(builtins, name):
        return ""
    raise UsageError(
        f"{who}: {module.__name__} does not say what {name} is.",
        remedy="Define it there, outside of a class, or import it.",
    )


def import_from(module: str, name: str) -> str:
    """Write the import of what a module defines."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"A file called {module}.py cannot be imported.", remedy="Name it in letters and _.")
    return f"from {module} import {name}\n"


def _imported(module: ModuleType) -> dict[str, str]:
    """Write the imports of a module anew, by the name that each brings."""
    lines: dict[str, str] = {}
    for statement in _import_statements(ast.parse(inspect.getsource(module))):
        for alias in statement.names:
            renamed = f" as {alias.asname}" if alias.asname else ""
            bound = alias.asname or alias.name.partition(".")[0]
            line = f"import {alias.name}{renamed}\n"
            if isinstance(statement, ast.ImportFrom):
                origin = "." * statement.level + (statement.module or "")
                line = f"from {importlib.util.resolve_name(origin, module.__package__)} {line}"
                lines[bound] = line
            else:
                lines[bound] = lines.get(bound, "") + line
    return lines


def _import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Find the imports of a module, those under a condition too, but not those inside of its functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            yield from _import_statements(child)
