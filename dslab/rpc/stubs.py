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

What the interfaces that it is derived from promise is promised, too. If its methods are coroutine functions,
so are those of the stubs, and the client is an `aclient.AsyncClient`. Arguments travel in order; those of a
method that has keyword-only parameters travel by name. What cannot be called from elsewhere is refused.

Source: ch. 4, Remote procedure call (stub generation, interface definition languages).
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

import msgspec

from dslab.kit.errors import PeerViolation, UsageError
from dslab.rpc.errors import WrongType
from dslab.rpc.interface import Method, home, import_from, methods_of, names_in, refuse

_HEAD = '''"""Stubs of {name}, written by ``python -m dslab.rpc stubs``. Do not edit."""

from __future__ import annotations

from typing import Any as _Any

from dslab.rpc.stubs import argument as _argument
from dslab.rpc.stubs import result as _result
{imports}

class {name}Client({name}):
    """Calls a {name} that is elsewhere: ``{name}Client(client.call)``."""

    def __init__(self, call: _Any, name: str = "") -> None:
        self._call = call
        self._prefix = f"{{name}}." if name else ""
'''

_CLIENT_METHOD = """
    {define} {method}({parameters}) -> {returns}:
        _value: {returns} = _result({label!r}, {wait}self._call({arguments}), {returns})
        return _value
"""

_SERVER_HEAD = '''

class {name}Server:
    """Stands before a {name}: ``service.objects.register({name}Server(...))``."""

    def __init__(self, served: {name}) -> None:
        self._served = served
'''

_SERVER_METHOD = """
    {define} {method}({parameters}) -> {returns}:
        return {wait}self._served.{method}({arguments})
"""


def argument(name: str, value: Any, kind: Any) -> Any:
    """Make an argument what its type hint says.

    Raises:
        WrongType: It is something else.
    """
    try:
        return msgspec.convert(value, kind, str_keys=True)  # JSON has no other keys
    except msgspec.ValidationError as error:
        raise WrongType(f"{name}: {error}") from error


def result(method: str, value: Any, kind: Any) -> Any:
    """Make a result what its type hint says.

    Raises:
        PeerViolation: It is something else.
    """
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except msgspec.ValidationError as error:
        raise PeerViolation(f"{method} gave what its interface does not promise: {error}.") from error


def generate(interface: type) -> str:
    """Write the module with both stubs.

    Raises:
        UsageError: The interface promises what cannot be called from elsewhere. Says what, and what to do.
    """
    if not inspect.isclass(interface):
        raise UsageError(f"{interface!r} is no class.", remedy="Name a Protocol class.")
    name = interface.__name__
    methods = methods_of(interface)
    if not methods:
        raise UsageError(f"{name} has no public method.")
    if len({each.waits for each in methods}) > 1:
        refuse(name, "some methods are coroutine functions, and some are not", "Let all be async, or none.")
    text = _HEAD.format(name=name, imports=_imports(interface, methods))
    text += "".join(_client_method(name, each) for each in methods)
    text += _SERVER_HEAD.format(name=name)
    return text + "".join(map(_server_method, methods))


def _client_method(interface: str, method: Method) -> str:
    arguments = [f"{each.name}={each.name}" if method.named else each.name for each in method.parameters]
    return _CLIENT_METHOD.format(
        **method.written,
        label=f"{interface}.{method.name}",
        parameters=method.declare(lambda each: ast.unparse(each.hint)),
        arguments=", ".join([f'f"{{self._prefix}}{method.name}"', *arguments]),
    )


def _server_method(method: Method) -> str:
    return _SERVER_METHOD.format(
        **method.written,
        parameters=method.declare(lambda _: "_Any"),
        arguments=", ".join(
            (f"{each.name}=" if each.separator == "*" else "")
            + f"_argument({each.name!r}, {each.name}, {ast.unparse(each.hint)})"
            for each in method.parameters
        ),
    )


def _imports(interface: type, methods: list[Method]) -> str:
    """Import what hints and defaults name, from where the interface's module has it."""
    lines = {interface.__name__: import_from(interface.__module__, interface.__name__)}
    for method in methods:
        who = f"{interface.__name__}.{method.name}"
        defaults = [each.default for each in method.parameters if each.default is not None]
        for expression in (*method.hints, *defaults):
            for name in names_in(expression):
                line = home(method.defined, who, name)
                if lines.setdefault(name, line) != line:
                    refuse(who, f"{name} is something else here than elsewhere", "Give one another name.")
    return "".join(sorted({line for line in lines.values() if line}))
