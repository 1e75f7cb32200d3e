"""Linda as the textbook's programs use it.

::

    import linda
    linda.connect()

    blog = linda.TupleSpace()
    linda.universe._out(("MicroBlog", blog))

``connect`` finds the server by LINDA_ADDR (``host:port``); ``python -m dslab.linda server`` runs one. From
then on ``universe`` is the space that every program shares, and ``TupleSpace()`` makes a new one, which
others can use once they have found it in a tuple.

A program that wants several connections uses `dslab.linda.client.connect`, of which this module keeps one.

Source: ch. 2, Shared data spaces, the microblog of Bob, Alice and Chuck.
"""

from __future__ import annotations

import atexit
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import UsageError
from dslab.linda import client as _client
from dslab.linda.values import Handle

__all__ = ["TupleSpace", "connect", "universe"]

universe: TupleSpace

_connection: _client.Client | None = None


class TupleSpace(_client.TupleSpace):
    """A new tuple space; as a formal, any."""

    __slots__ = ()

    def __init__(self) -> None:
        if _connection is None:
            raise _not_connected()
        self.bind(_connection, _connection.new_space().number)


def connect(address: Address | str | None = None, *, token: str | None = None) -> None:
    """Connect this program to the server. Raises as `dslab.linda.client.connect` does."""
    global _connection, universe  # noqa: PLW0603  the textbook's programs have one connection, and no name for it
    if _connection is not None:
        _connection.close()
    _connection = _client.connect(address, token=token, space_class=TupleSpace)
    universe = _as_space(_connection.universe)
    atexit.register(_connection.close)


class NotConnected(UsageError):
    """There is no universe yet.

    This is no AttributeError: of one ``from linda import universe`` would make "cannot import name", without
    the remedy.
    """


def __getattr__(name: str) -> Any:
    if name == "universe":
        raise _not_connected()
    raise AttributeError(f"module 'linda' has no attribute {name!r}")


def _as_space(space: Handle) -> TupleSpace:
    assert isinstance(space, TupleSpace)
    return space


def _not_connected() -> NotConnected:
    return NotConnected(
        "This program is not connected to a tuple space.", remedy="Call linda.connect() first."
    )
