"""The proxy: an object whose methods are another's, somewhere else.

It knows of no method in advance: ``proxy.add(1, 2)`` sends the name ``add``. What a person types wrongly is
found out by the server. `stubs` generates clients that a type checker understands.

Source: ch. 2, Object-based style (proxies); ch. 4, Remote procedure call (client stubs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dslab.kit.errors import UsageError
from dslab.rpc.messages import Params


class Proxy:
    """Stands for a remote object. A method may be an object's in turn: ``proxy.bank.deposit``."""

    __slots__ = ("_call", "_name")

    def __init__(self, call: Callable[..., Any], name: str) -> None:
        self._call = call
        self._name = name

    def __getattr__(self, name: str) -> Proxy:
        if name.startswith("_"):  # copy, pickle, inspect ... ask for many such; none is remote
            raise AttributeError(name)
        return Proxy(self._call, f"{self._name}.{name}" if self._name else name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the remote procedure."""
        return self._call(self._name, *arguments, **named)

    def __repr__(self) -> str:
        return f"<proxy of {self._name or 'a server'}>"


def params_of(arguments: tuple[Any, ...], named: dict[str, Any]) -> Params:
    """Give what travels of a call's arguments.

    Raises:
        UsageError: Some are named and some are not: neither standard has a place for that.
    """
    if not named:
        return list(arguments)
    if arguments:
        raise UsageError("Arguments travel all in order or all by name.")
    return named
