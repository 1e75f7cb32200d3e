"""Generated stubs: from an interface to a client stub and a server stub that a type checker understands.

The interface is a Protocol class with type hints; it is the interface definition, there is no other language
to learn::

    class Bank(Protocol):
        def deposit(self, account: str, amount: int) -> int: ...

``python -m dslab.rpc stubs bank.py:Bank > bank_stubs.py`` writes two classes:

- ``BankClient(client.call)`` has the same methods; each calls the server, and checks that what comes back is
  of the type that was promised.
- ``BankServer(bank)`` is what a server registers: it checks each argument before the procedure sees it, and
  makes it what the hint says (a map becomes a dataclass again). A wrong one is answered with `BadArguments`.

Source: ch. 4, Remote procedure call (stub generation, interface definition languages).
"""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from dslab.kit.errors import PeerViolation, UsageError
from dslab.rpc.errors import WrongType

_HEAD = '''"""Stubs of {name}, written by ``python -m dslab.rpc stubs``. Do not edit."""

from __future__ import annotations

from typing import Any

from dslab.rpc.stubs import argument, result
{imports}

class {name}Client({name}):
    """Calls a {name} that is elsewhere: ``{name}Client(client.call)``."""

    def __init__(self, call: Any, name: str = "") -> None:
        self._call = call
        self._prefix = f"{{name}}." if name else ""
'''

_CLIENT_METHOD = """
    def {method}(self{parameters}) -> {returns}:
        value: {returns} = result({label!r}, self._call(f"{{self._prefix}}{method}"{arguments}), {returns})
        return value
"""

_SERVER_HEAD = '''

class {name}Server:
    """Stands before a {name}: ``service.objects.register({name}Server(...))``."""

    def __init__(self, served: {name}) -> None:
        self._served = served
'''

_SERVER_METHOD = """
    def {method}(self{raw}) -> {returns}:
        return self._served.{method}({checked})
"""


def argument(name: str, value: Any, kind: Any) -> Any:
    """Make an argument what its type hint says.

    Raises:
        WrongType: It is something else.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise WrongType(f"{name}: {error}") from error


def result(method: str, value: Any, kind: Any) -> Any:
    """Make a result what its type hint says.

    Raises:
        PeerViolation: It is something else.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise PeerViolation(f"{method} gave what its interface does not promise: {error}.") from error


def generate(interface: type) -> str:
    """Write the module with both stubs.

    Raises:
        UsageError: The interface has no methods, or a parameter without a type hint.
    """
    methods = dict(_methods(interface))
    if not methods:
        raise UsageError(f"{interface.__name__} has no public method.")
    name = interface.__name__
    text = _HEAD.format(name=name, imports=_imports(interface, methods.values()))
    text += "".join(_client_method(name, each, signature) for each, signature in methods.items())
    text += _SERVER_HEAD.format(name=name)
    return text + "".join(_server_method(each, signature) for each, signature in methods.items())


def _methods(interface: type) -> Iterator[tuple[str, inspect.Signature]]:
    for name, member in vars(interface).items():
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        signature = inspect.signature(member)
        for parameter in list(signature.parameters.values())[1:]:
            if parameter.annotation is inspect.Parameter.empty:
                raise UsageError(f"{interface.__name__}.{name}: {parameter.name} has no type hint.")
            if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                raise UsageError(
                    f"{interface.__name__}.{name}: say which arguments there are, not *{parameter.name}."
                )
        yield name, signature


def _client_method(interface: str, name: str, signature: inspect.Signature) -> str:
    parameters = list(signature.parameters.values())[1:]
    returns = _hint(signature.return_annotation)
    return _CLIENT_METHOD.format(
        method=name,
        label=f"{interface}.{name}",
        parameters="".join(f", {_declare(each, _hint(each.annotation))}" for each in parameters),
        arguments="".join(f", {each.name}" for each in parameters),
        returns=returns,
    )


def _server_method(name: str, signature: inspect.Signature) -> str:
    parameters = list(signature.parameters.values())[1:]
    return _SERVER_METHOD.format(
        method=name,
        raw="".join(f", {_declare(each, 'Any')}" for each in parameters),
        returns=_hint(signature.return_annotation),
        checked=", ".join(
            f"argument({each.name!r}, {each.name}, {_hint(each.annotation)})" for each in parameters
        ),
    )


def _declare(parameter: inspect.Parameter, hint: str) -> str:
    default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {hint}{default}"


def _hint(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty or annotation is None:
        return "None"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _imports(interface: type, signatures: Any) -> str:
    """Import what the hints name, from where the interface's module has it."""
    module = sys.modules[interface.__module__]
    names = {interface.__name__}
    for signature in signatures:
        for annotation in (
            signature.return_annotation,
            *(each.annotation for each in signature.parameters.values()),
        ):
            if annotation is not inspect.Parameter.empty:
                names |= {
                    node.id for node in ast.walk(ast.parse(_hint(annotation))) if isinstance(node, ast.Name)
                }
    wanted = sorted(name for name in names if not hasattr(builtins, name) and name != "Any")
    return "".join(f"from {_home(module, name)} import {name}\n" for name in wanted)


def _home(module: Any, name: str) -> str:
    """Say which module a name is to be imported from."""
    try:
        home = getattr(vars(module)[name], "__module__", None)
    except KeyError as error:
        raise UsageError(f"{module.__name__} does not say what {name} is.") from error
    return home if isinstance(home, str) else str(module.__name__)
