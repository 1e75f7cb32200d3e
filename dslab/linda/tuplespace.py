"""A tuple space as the blocking client sees it: the operations of Linda.

::

    space.out(("task", 1))              # put
    number = space.in_(("task", int))[1]  # take, waiting for one; rd reads and leaves it
    space.inp(("task", int))            # take one if there is one: None if not; rdp likewise

A `TupleSpace` is a value too: put into a tuple, it lets others use it. A thread that wants to wait for one
tuple while another puts one makes a client of its own; `TupleSpace.eval_` and `TupleSpace.notify` do so by
themselves.

Source: ch. 2, Shared data spaces; D. Gelernter, 1985. The names with an underscore are the textbook's.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from itertools import islice
from typing import Any, Protocol, Self

from dslab.linda.calls import check_duration, fields_of, listed_of, no_tuple, number_of
from dslab.linda.messages import (
    Collect,
    Count,
    FromClient,
    FromServer,
    In,
    List,
    Notify,
    Out,
    Rd,
)
from dslab.linda.transaction import Transaction, check_outside
from dslab.linda.values import Fields, Handle, not_a_tuple, to_wire

IN_FLIGHT = 64
"""How many requests `TupleSpace.out_all` has under way."""


class Caller(Protocol):
    """What a space needs of its client (`client.Client`).

    Attributes:
        next_request: Gives a number for a request.
    """

    next_request: Callable[[], int]

    def call(self, message: FromClient, wait_s: float | None = 0.0) -> FromServer:
        """Send a request and wait for its reply."""

    def call_all(self, messages: Sequence[FromClient]) -> list[FromServer]:
        """Send requests in one piece and wait for all their replies."""

    def receive(self, request: int, wait_s: float | None = 0.0) -> FromServer:
        """Wait for the next reply."""

    def space(self, number: int, transaction: Transaction[TupleSpace] | None = None) -> TupleSpace:
        """Give a space that exists already."""

    def again(self) -> Self:
        """Make another connection to the same server."""

    def close(self) -> None:
        """Close the connection."""


class TupleSpace(Handle):
    """A tuple space at a server. It is a value too: put it into a tuple, and others can use it.

    A formal is a type: ``space.in_(("task", int))``. ``TupleSpace`` stands for any space.
    """

    __slots__ = ("_client", "_transaction")

    def bind(self, client: Caller, number: int, transaction: Transaction[TupleSpace] | None = None) -> None:
        """Tie it to a client, and to a transaction if it is seen within one."""
        self.number = number
        self._client = client
        self._transaction = transaction

    def out(self, fields: Fields, *, lease_s: float | None = None) -> None:
        """Put a tuple into the space. With a lease it goes by itself after ``lease_s``.

        Raises:
            FieldError: A field does not travel, or the tuple is too long.
        """
        if lease_s is not None:
            check_duration(lease_s, "lease_s")
        client = self._client
        message = Out(client.next_request(), self.number, to_wire(fields), lease_s, self._within)
        number_of(client.call(message))

    def in_(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Take a tuple that matches; wait until there is one.

        Raises:
            NoTuple: None came within ``timeout_s``.
        """
        if timeout_s is not None:
            check_duration(timeout_s, "timeout_s")
        fields = self._look(In, template, timeout_s)
        return fields if fields is not None else no_tuple(template, timeout_s, self._transaction)

    def rd(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Read a tuple that matches, and leave it; wait until there is one. Raises as `in_` does."""
        if timeout_s is not None:
            check_duration(timeout_s, "timeout_s")
        fields = self._look(Rd, template, timeout_s)
        return fields if fields is not None else no_tuple(template, timeout_s, self._transaction)

    def inp(self, template: Fields) -> Fields | None:
        """Take a tuple that matches, if there is one now."""
        return self._look(In, template, 0)

    def rdp(self, template: Fields) -> Fields | None:
        """Read a tuple that matches, if there is one now."""
        return self._look(Rd, template, 0)

    _out, _in, _rd, _inp, _rdp = out, in_, rd, inp, rdp

    def out_all(self, tuples: Iterable[Fields]) -> None:
        """Put many tuples, with many requests under way at once."""
        remaining = iter(tuples)
        client = self._client
        while batch := list(islice(remaining, IN_FLIGHT)):
            messages = [
                Out(client.next_request(), self.number, to_wire(fields), None, self._within)
                for fields in batch
            ]
            for reply in client.call_all(messages):
                number_of(reply)

    def count(self, template: Fields) -> int:
        """Count the tuples that match."""
        client = self._client
        wire = to_wire(template, template=True)
        return number_of(client.call(Count(client.next_request(), self.number, wire, self._within)))

    def copy_collect(self, target: Handle, template: Fields) -> int:
        """Copy all that match to another space, at one instant: gives how many."""
        return self._collect(target, template, take=False)

    def move(self, target: Handle, template: Fields) -> int:
        """Move all that match to another space, at one instant: gives how many."""
        return self._collect(target, template, take=True)

    def ls(self, template: Fields, most: int = 100) -> tuple[list[Fields], int]:
        """Give at most so many of the tuples that match, and how many there are."""
        check_outside(self._transaction, "ls")
        client = self._client
        wire = to_wire(template, template=True)
        return listed_of(client.call(List(client.next_request(), self.number, wire, most)), client.space)

    def notify(self, template: Fields) -> Subscription:
        """Give every tuple that matches, from now on, as it is put; on a connection of its own.

        A tuple that was taken and comes back, as the taker's transaction was undone or it waits no longer, is
        given again.
        """
        check_outside(self._transaction, "notify")
        wire = to_wire(template, template=True)
        client = self._client.again()
        try:
            request = client.next_request()
            number_of(client.call(Notify(request, self.number, wire)))
        except BaseException:
            client.close()
            raise
        return Subscription(client, request)

    def eval_(self, fields: tuple[Any, ...]) -> Future[None]:
        """Put a live tuple: its functions are called in a thread, then it is put with their results.

        The program does not end before the thread has, unless Ctrl-C ends it. What a function raises goes to
        ``threading.excepthook`` too, which prints it: most programs do not ask how an evaluation ended.

        Returns:
            What ends when the tuple is put, in an error if a function raised one.
        """
        check_live(fields, self._transaction)
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # `Future.cancel` says that it is too late
        atexit.unregister(_await_evaluations)
        atexit.register(_await_evaluations)  # last, so that it comes before connections are closed
        _Evaluation(target=self._evaluate, args=(fields, done), daemon=True).start()
        return done

    _eval = eval_

    def _evaluate(self, fields: tuple[Any, ...], done: Future[None]) -> None:
        try:
            computed = tuple([field() if is_function(field) else field for field in fields])
            with closing(self._client.again()) as client:
                client.space(self.number).out(computed)
        except BaseException as error:
            done.set_exception(error)
            raise
        else:
            done.set_result(None)

    @property
    def _within(self) -> int:
        """The number of the transaction it is seen in: 0 for none."""
        return self._transaction.number if self._transaction else 0

    def _look(self, kind: type[In] | type[Rd], template: Fields, wait_s: float | None) -> Fields | None:
        client = self._client
        wire = to_wire(template, template=True)
        message = kind(client.next_request(), self.number, wire, wait_s, self._within)
        return fields_of(client.call(message, wait_s), client.space)

    def _collect(self, target: Handle, template: Fields, *, take: bool) -> int:
        wire = to_wire(template, template=True)
        client = self._client
        message = Collect(client.next_request(), self.number, target.number, wire, take, self._within)
        return number_of(client.call(message))


class Subscription:
    """The tuples that `TupleSpace.notify` tells of: an iterator without an end."""

    def __init__(self, client: Caller, request: int) -> None:
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


class _Evaluation(threading.Thread):
    """A thread that the program awaits before it ends. Being a daemon, it ends with Ctrl-C."""


def _await_evaluations() -> None:
    if isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
        return
    with suppress(KeyboardInterrupt):
        while running := [thread for thread in threading.enumerate() if isinstance(thread, _Evaluation)]:
            running[0].join()


def check_live(fields: object, transaction: object) -> None:
    """Check what is to be evaluated, before it takes its time.

    Raises:
        FieldError: It is no tuple.
        UsageError: It is to be put within a transaction.
    """
    check_outside(transaction, "eval_")
    if type(fields) is not tuple:
        raise not_a_tuple(fields)


def is_function(field: Any) -> bool:
    """Is this field of a live tuple to be computed?"""
    return callable(field) and not isinstance(field, type | Handle)
