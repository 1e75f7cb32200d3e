"""The blocking client.

::

    with connect("127.0.0.1:7070") as linda:
        linda.universe.out(("task", 1))
        number = linda.universe.in_(("task", int))[1]

A client has one connection and does one thing at a time; a thread that wants to wait for one tuple while
another puts one makes a client of its own. `TupleSpace.eval_` and `TupleSpace.notify` do so by themselves.

An error in the middle of a request closes the connection (`connection`). Whether the request happened is then
unknown (`PeerError.happened`), unless the error says otherwise.

Source: ch. 2, Shared data spaces; the operations' names with an underscore are the textbook's.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import islice
from threading import Thread
from types import TracebackType
from typing import Any, Self

from dslab.kit.address import Address
from dslab.kit.errors import PeerError, PeerRefused
from dslab.linda.calls import (
    DEFAULT_TIMEOUT_S,
    NoTuple,
    RefusedError,
    fields_of,
    number_of,
    token_or_default,
    unexpected,
    where,
)
from dslab.linda.connection import Connection
from dslab.linda.messages import (
    UNIVERSE,
    VERSION,
    Abort,
    Blocked,
    Collect,
    Commit,
    Count,
    Hello,
    In,
    List,
    Listed,
    NewSpace,
    Notify,
    Out,
    Rd,
    Refused,
    Waiting,
    WaitsFor,
    encode,
)
from dslab.linda.values import Fields, Handle, from_wire, show, to_wire

IN_FLIGHT = 64
"""How many requests `TupleSpace.out_all` has under way."""


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
    """
    address = where(address)
    try:
        connected = socket.create_connection(address.pair, timeout_s)
    except OSError as error:
        raise PeerRefused(f"{address} took no connection: {error.strerror or error}.") from error
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = Client(connected, address, token_or_default(token), timeout_s, space_class or TupleSpace)
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

    def space(self, number: int, transaction: int = 0) -> TupleSpace:
        """Give a space that exists already."""
        space = self._space_class.__new__(self._space_class)
        space.bind(self, number, transaction)
        return space

    def new_space(self) -> TupleSpace:
        """Make a new space."""
        return self.space(number_of(self.call(NewSpace(self.next_request()))))

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Do several things at once or not at all: an exception in the block undoes them.

        ::

            with linda.transaction() as together:
                bag = together(linda.universe)
                bag.out(("result", work(bag.in_(("task", int)))))
        """
        self._transactions += 1
        transaction = Transaction(self, self._transactions)
        try:
            yield transaction
        except BaseException:
            with suppress(PeerError):  # a connection that broke has undone it
                number_of(self.call(Abort(self.next_request(), transaction.number)))
            raise
        number_of(self.call(Commit(self.next_request(), transaction.number)))

    def waiting(self) -> list[WaitsFor]:
        """Who is blocked on what, and what comes near?"""
        match self.call(Waiting(self.next_request())):
            case Blocked(waiters=waiters):
                return waiters
            case Refused(reason=reason):
                raise RefusedError(reason)
            case reply:
                raise unexpected(reply)

    def again(self) -> Client:
        """Make another connection to the same server."""
        return connect(
            self.address, token=self.token, timeout_s=self.timeout_s, space_class=self._space_class
        )


class TupleSpace(Handle):
    """A tuple space at a server. It is a value too: put it into a tuple, and others can use it.

    A formal is a type: ``space.in_(("task", int))``. ``TupleSpace`` stands for any space.
    """

    __slots__ = ("_client", "_transaction")

    def bind(self, client: Client, number: int, transaction: int) -> None:
        """Tie it to a client."""
        self.number = number
        self._client = client
        self._transaction = transaction

    def out(self, fields: Fields, *, lease_s: float | None = None) -> None:
        """Put a tuple into the space. With a lease it goes by itself after ``lease_s``.

        Raises:
            FieldError: A field does not travel.
        """
        client = self._client
        message = Out(client.next_request(), self.number, to_wire(fields), lease_s, self._transaction)
        number_of(client.call(message))

    def in_(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Take a tuple that matches; wait until there is one.

        Raises:
            NoTuple: None came within ``timeout_s``.
        """
        return self._found(In, template, timeout_s)

    def rd(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Read a tuple that matches, and leave it; wait until there is one. Raises as `in_` does."""
        return self._found(Rd, template, timeout_s)

    def inp(self, template: Fields) -> Fields | None:
        """Take a tuple that matches, if there is one now."""
        return self._or_none(In, template, 0)

    def rdp(self, template: Fields) -> Fields | None:
        """Read a tuple that matches, if there is one now."""
        return self._or_none(Rd, template, 0)

    _out, _in, _rd, _inp, _rdp = out, in_, rd, inp, rdp

    def out_all(self, tuples: Iterable[Fields]) -> None:
        """Put many tuples, with many requests under way at once."""
        remaining = iter(tuples)
        client = self._client
        while batch := list(islice(remaining, IN_FLIGHT)):
            messages = [
                Out(client.next_request(), self.number, to_wire(fields), None, self._transaction)
                for fields in batch
            ]
            client.send(b"".join(map(encode, messages)))
            for reply in [client.receive(message.request) for message in messages]:
                number_of(reply)

    def count(self, template: Fields) -> int:
        """Count the tuples that match."""
        wire = to_wire(template, template=True)
        return number_of(self._client.call(Count(self._client.next_request(), self.number, wire)))

    def copy_collect(self, target: Handle, template: Fields) -> int:
        """Copy all that match to another space, at one instant: gives how many."""
        return self._collect(target, template, take=False)

    def move(self, target: Handle, template: Fields) -> int:
        """Move all that match to another space, at one instant: gives how many."""
        return self._collect(target, template, take=True)

    def ls(self, template: Fields, most: int = 100) -> tuple[list[Fields], int]:
        """Give at most so many of the tuples that match, and how many there are."""
        wire = to_wire(template, template=True)
        match self._client.call(List(self._client.next_request(), self.number, wire, most)):
            case Listed(tuples=tuples, total=total):
                return [from_wire(fields) for fields in tuples], total
            case Refused(reason=reason):
                raise RefusedError(reason)
            case reply:
                raise unexpected(reply)

    def notify(self, template: Fields) -> Subscription:
        """Give every tuple that matches, from now on, as it is put; on a connection of its own."""
        wire = to_wire(template, template=True)
        client = self._client.again()
        request = client.next_request()
        client.send(encode(Notify(request, self.number, wire)))
        number_of(client.call(Count(client.next_request(), self.number, wire)))  # it is subscribed now
        return Subscription(client, request)

    def eval_(self, fields: tuple[Any, ...]) -> Future[None]:
        """Put a live tuple: its functions are called in a thread, then it is put with their results.

        Returns:
            What ends when the tuple is put, in an error if a function raised one.
        """
        done: Future[None] = Future()
        Thread(target=self._evaluate, args=(fields, done), daemon=True).start()
        return done

    _eval = eval_

    def _evaluate(self, fields: tuple[Any, ...], done: Future[None]) -> None:
        try:
            computed = tuple([field() if _is_function(field) else field for field in fields])
            with self._client.again() as client:
                client.space(self.number).out(computed)
        except BaseException as error:  # noqa: BLE001  the future carries it to whoever asks
            done.set_exception(error)
        else:
            done.set_result(None)

    def _or_none(self, kind: type[In] | type[Rd], template: Fields, wait_s: float | None) -> Fields | None:
        client = self._client
        wire = to_wire(template, template=True)
        message = kind(client.next_request(), self.number, wire, wait_s, self._transaction)
        return fields_of(client.call(message, wait_s), client.space)

    def _found(self, kind: type[In] | type[Rd], template: Fields, timeout_s: float | None) -> Fields:
        fields = self._or_none(kind, template, timeout_s)
        if fields is not None:
            return fields
        wanted = show(from_wire(to_wire(template, template=True), template=True))
        raise NoTuple(f"No tuple matched {wanted} within {timeout_s or 0:g} s.")

    def _collect(self, target: Handle, template: Fields, *, take: bool) -> int:
        wire = to_wire(template, template=True)
        client = self._client
        message = Collect(client.next_request(), self.number, target.number, wire, take)
        return number_of(client.call(message))


class Transaction:
    """Several operations that happen at once: call it with a space to get that space within it."""

    def __init__(self, client: Client, number: int) -> None:
        self.number = number
        self._client = client

    def __call__(self, space: Handle) -> TupleSpace:
        """Give a space as this transaction sees it."""
        return self._client.space(space.number, self.number)


class Subscription:
    """The tuples that `TupleSpace.notify` tells of: an iterator without an end."""

    def __init__(self, client: Client, request: int) -> None:
        self._client = client
        self._request = request

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Fields:
        """Wait for the next tuple."""
        fields = fields_of(self._client.receive(self._request, None), self._client.space)
        if fields is None:
            raise StopIteration
        return fields

    def close(self) -> None:
        """Hear no more."""
        self._client.close()


def _is_function(field: Any) -> bool:
    return callable(field) and not isinstance(field, type | Handle)
