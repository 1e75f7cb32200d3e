"""The blocking client.

::

    with connect("127.0.0.1:7070") as linda:
        linda.universe.out(("task", 1))
        number = linda.universe.in_(("task", int))[1]

A client has one connection and does one thing at a time; what it can do with a space is in `tuplespace`. An
error in the middle of a request closes the connection (`connection`). Whether the request happened is then
unknown (`PeerError.happened`), unless the error says otherwise.

Source: ch. 2, Shared data spaces; transactions as in JavaSpaces (E. Freeman et al., 1999).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from dslab.kit.address import Address
from dslab.kit.errors import PeerError, PeerRefused, UsageError
from dslab.linda.calls import (
    DEFAULT_TIMEOUT_S,
    blocked_of,
    check_patience,
    number_of,
    token_or_default,
    where,
)
from dslab.linda.connection import Connection
from dslab.linda.messages import (
    UNIVERSE,
    VERSION,
    Abort,
    Commit,
    Hello,
    NewSpace,
    Waiting,
    WaitsFor,
)
from dslab.linda.transaction import Transaction
from dslab.linda.tuplespace import Subscription, TupleSpace

__all__ = ["Client", "Subscription", "Transaction", "TupleSpace", "connect"]


def connect(
    address: Address | str | None = None,
    *,
    token: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    space_class: type[TupleSpace] | None = None,
) -> Client:
    """Connect to a server.

    Args:
        address: Where it listens; without one LINDA_ADDR says it.
        token: What it wants to hear; without one the file LINDA_TOKEN_FILE holds it.
        timeout_s: How long the server may take for what needs no waiting.
        space_class: What tuple spaces in tuples become.

    Raises:
        PeerRefused: Nobody listens there.
        RefusedError: The token is wrong.
        UsageError: ``timeout_s`` is no time, or there is no token in the file.
    """
    address, token = where(address), token_or_default(token)
    check_patience(timeout_s)
    try:
        connected = socket.create_connection(address.pair, timeout_s)
    except OSError as error:
        raise PeerRefused(f"{address} took no connection: {error.strerror or error}.") from error
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = Client(connected, address, token, timeout_s, space_class or TupleSpace)
    try:
        number_of(client.call(Hello(client.next_request(), VERSION, client.token)))
    except BaseException:
        client.close()
        raise
    return client


class Client(Connection):
    """A connection to a server.

    Attributes:
        universe: The space that is always there.
    """

    def __init__(
        self,
        connected: socket.socket,
        address: Address,
        token: str,
        timeout_s: float,
        space_class: type[TupleSpace],
    ) -> None:
        super().__init__(connected, address, timeout_s)
        self.token = token
        self._space_class = space_class
        self._transactions = 0
        self.universe = self.space(UNIVERSE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def space(self, number: int, transaction: Transaction[TupleSpace] | None = None) -> TupleSpace:
        """Give a space that exists already."""
        space = self._space_class.__new__(self._space_class)
        space.bind(self, number, transaction)
        return space

    def new_space(self) -> TupleSpace:
        """Make a new space."""
        return self.space(number_of(self.call(NewSpace(self.next_request()))))

    @contextmanager
    def transaction(self) -> Iterator[Transaction[TupleSpace]]:
        """Do several things at once or not at all: an exception in the block undoes them.

        What is undone comes back as if it were new: subscribers (`TupleSpace.notify`) hear of it again.

        ::

            with linda.transaction() as together:
                bag = together(linda.universe)
                bag.out(("result", work(bag.in_(("task", int)))))
        """
        self._transactions += 1
        transaction = Transaction(self._transactions, self.space)
        try:
            yield transaction
            number_of(self.call(Commit(self.next_request(), transaction.end())))
        except BaseException:
            try:
                number_of(self.call(Abort(self.next_request(), transaction.end())))
            except PeerError:
                pass  # a connection that broke has undone it
            except UsageError:  # another thread waits on the connection, whose end undoes it as well
                self.close()
            raise

    def waiting(self) -> list[WaitsFor]:
        """Who is blocked on what, and what comes near? The first comers, if they are many."""
        return self.who_waits()[0]

    def who_waits(self) -> tuple[list[WaitsFor], int]:
        """Give what `waiting` gives, and how many are blocked."""
        return blocked_of(self.call(Waiting(self.next_request())))

    def again(self) -> Client:
        """Make another connection to the same server."""
        return connect(
            self.address, token=self.token, timeout_s=self.timeout_s, space_class=self._space_class
        )
