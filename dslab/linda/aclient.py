"""The asyncio client.

::

    async with await connect("127.0.0.1:7070") as linda:
        await linda.universe.out(("task", 1))
        _, number = await linda.universe.in_(("task", int))

A client has one connection (`aconnection`), on which many operations may wait at once. A cancelled ``in_``
stops waiting at the server too, and takes nothing: a tuple that was on its way is put back. The end of the
client's block waits for that; `AsyncClient.close` does not. Await what you have cancelled before the block
ends: a task that has not heard of it yet may lose what it has taken.

Source: ch. 2, Shared data spaces.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeAlias

from dslab.kit.address import Address
from dslab.kit.errors import PeerError, PeerRefused, PeerSilent
from dslab.linda.aconnection import AsyncConnection
from dslab.linda.calls import (
    DEFAULT_TIMEOUT_S,
    blocked_of,
    check_duration,
    check_patience,
    fields_of,
    listed_of,
    no_tuple,
    number_of,
    token_or_default,
    where,
)
from dslab.linda.messages import (
    UNIVERSE,
    VERSION,
    Abort,
    Collect,
    Commit,
    Count,
    Hello,
    In,
    List,
    NewSpace,
    Notify,
    Out,
    Rd,
    Waiting,
    WaitsFor,
    encode_request,
)
from dslab.linda.transaction import Transaction, check_outside
from dslab.linda.tuplespace import IN_FLIGHT, check_live, is_function
from dslab.linda.values import Fields, Handle, to_wire


async def connect(
    address: Address | str | None = None, *, token: str | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
) -> AsyncClient:
    """Connect to a server. Arguments and errors are those of `client.connect`."""
    address, token = where(address), token_or_default(token)
    check_patience(timeout_s)
    loop = asyncio.get_running_loop()
    client = AsyncClient(address, timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(lambda: client, *address.pair)
    except OSError as error:
        why = error.strerror or str(error) or f"no answer within {timeout_s:g} s"
        raise PeerRefused(f"{address} took no connection: {why}.") from error
    try:
        number_of(await client.call(Hello(client.next_request(), VERSION, token)))
    except BaseException:
        client.close()
        raise
    return client


class AsyncClient(AsyncConnection):
    """A connection to a server.

    Attributes:
        universe: The space that is always there.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        super().__init__(address, timeout_s)
        self.universe = self.space(UNIVERSE)
        self._transactions = 0
        self._live: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            with suppress(PeerSilent):
                await self.settle()
        finally:
            self.close()
        await self.end()

    def space(self, number: int, transaction: AsyncTransaction | None = None) -> AsyncTupleSpace:
        """Give a space that exists already."""
        return AsyncTupleSpace(self, number, transaction)

    async def new_space(self) -> AsyncTupleSpace:
        """Make a new space."""
        return self.space(number_of(await self.call(NewSpace(self.next_request()))))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """Do several things at once or not at all: an exception in the block undoes them.

        What still waits in it then gets no tuple (`NoTuple`); while something waits it cannot be committed.
        """
        self._transactions += 1
        transaction = AsyncTransaction(self._transactions, self.space)
        try:
            yield transaction
            await self.settle()  # what comes back, comes back into the transaction
            number_of(await self.call(Commit(self.next_request(), transaction.end())))
        except BaseException:
            with suppress(PeerError):  # a connection that broke has undone it
                await self._undo(transaction)
            raise

    async def _undo(self, transaction: AsyncTransaction) -> None:
        try:
            await self.settle()
        finally:
            number_of(await self.call(Abort(self.next_request(), transaction.end())))

    async def waiting(self) -> list[WaitsFor]:
        """Who is blocked on what, and what comes near? The first comers, if they are many."""
        return blocked_of(await self.call(Waiting(self.next_request())))[0]

    def keep(self, task: asyncio.Task[None]) -> None:
        """Hold a task that nobody else may hold, until it ends."""
        self._live.add(task)
        task.add_done_callback(self._live.discard)


class AsyncTupleSpace(Handle):
    """A tuple space at a server. The operations are those of `client.TupleSpace`, and so are their errors."""

    __slots__ = ("_client", "_transaction")

    def __init__(self, client: AsyncClient, number: int, transaction: AsyncTransaction | None) -> None:
        super().__init__(number)
        self._client = client
        self._transaction = transaction

    async def out(self, fields: Fields, *, lease_s: float | None = None) -> None:
        """Put a tuple into the space. With a lease it goes by itself after ``lease_s``."""
        if lease_s is not None:
            check_duration(lease_s, "lease_s")
        client = self._client
        message = Out(client.next_request(), self.number, to_wire(fields), lease_s, self._within)
        number_of(await client.call(message))

    async def in_(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Take a tuple that matches; wait until there is one."""
        if timeout_s is not None:
            check_duration(timeout_s, "timeout_s")
        fields = await self._look(In, template, timeout_s)
        return fields if fields is not None else no_tuple(template, timeout_s, self._transaction)

    async def rd(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Read a tuple that matches, and leave it; wait until there is one."""
        if timeout_s is not None:
            check_duration(timeout_s, "timeout_s")
        fields = await self._look(Rd, template, timeout_s)
        return fields if fields is not None else no_tuple(template, timeout_s, self._transaction)

    async def inp(self, template: Fields) -> Fields | None:
        """Take a tuple that matches, if there is one now."""
        return await self._look(In, template, 0)

    async def rdp(self, template: Fields) -> Fields | None:
        """Read a tuple that matches, if there is one now."""
        return await self._look(Rd, template, 0)

    _out, _in, _rd, _inp, _rdp = out, in_, rd, inp, rdp

    async def out_all(self, tuples: Iterable[Fields]) -> None:
        """Put many tuples, with many requests under way at once."""
        remaining = iter(tuples)
        client = self._client
        while batch := list(islice(remaining, IN_FLIGHT)):
            messages = [
                Out(client.next_request(), self.number, to_wire(fields), None, self._within)
                for fields in batch
            ]
            for message in messages:
                encode_request(message)  # one that cannot be sent lets no other go before it
            for reply in await asyncio.gather(*map(client.call, messages)):
                number_of(reply)

    async def count(self, template: Fields) -> int:
        """Count the tuples that match."""
        client = self._client
        wire = to_wire(template, template=True)
        return number_of(await client.call(Count(client.next_request(), self.number, wire, self._within)))

    async def copy_collect(self, target: Handle, template: Fields) -> int:
        """Copy all that match to another space, at one instant: gives how many."""
        return await self._collect(target, template, take=False)

    async def move(self, target: Handle, template: Fields) -> int:
        """Move all that match to another space, at one instant: gives how many."""
        return await self._collect(target, template, take=True)

    async def ls(self, template: Fields, most: int = 100) -> tuple[list[Fields], int]:
        """Give at most so many of the tuples that match, and how many there are."""
        check_outside(self._transaction, "ls")
        client = self._client
        wire = to_wire(template, template=True)
        reply = await client.call(List(client.next_request(), self.number, wire, most))
        return listed_of(reply, client.space)

    async def notify(self, template: Fields) -> AsyncIterator[Fields]:
        """Give every tuple that matches, from the first step of the iteration on, as it is put.

        It ends with the iteration, or in the error that ends the connection.

        Raises:
            UsageError: `aconnection.MAX_UNREAD_BYTES` waited to be read: those have come, later ones do not.
        """
        check_outside(self._transaction, "notify")
        client = self._client
        wire = to_wire(template, template=True)
        request = client.next_request()
        notices = client.subscribe(request)
        try:
            number_of(await client.call(Notify(request, self.number, wire)))
            while True:
                fields = fields_of(await notices.get(), client.space)
                if fields is not None:
                    yield fields
        finally:
            client.unsubscribe(request)

    def eval_(self, fields: tuple[Any, ...]) -> asyncio.Task[None]:
        """Put a live tuple: its functions are called in threads, then it is put with their results.

        Returns:
            What ends when the tuple is put, in an error if a function raised one. It is put on this client's
            connection, so wait for it before you leave the client's block.
        """
        check_live(fields, self._transaction)
        task = asyncio.create_task(self._evaluate(fields))
        self._client.keep(task)
        return task

    _eval = eval_

    async def _evaluate(self, fields: tuple[Any, ...]) -> None:
        computed: Future[Fields] = Future()
        computed.set_running_or_notify_cancel()
        # asyncio's own threads are few, and functions may wait for one another; Ctrl-C waits for all of them
        threading.Thread(target=_compute, args=(fields, computed), daemon=True).start()
        await self.out(await asyncio.wrap_future(computed))

    @property
    def _within(self) -> int:
        """The number of the transaction it is seen in: 0 for none."""
        return self._transaction.number if self._transaction else 0

    async def _look(self, kind: type[In] | type[Rd], template: Fields, wait_s: float | None) -> Fields | None:
        client = self._client
        wire = to_wire(template, template=True)
        message = kind(client.next_request(), self.number, wire, wait_s, self._within)
        return fields_of(await client.call(message, wait_s), client.space)

    async def _collect(self, target: Handle, template: Fields, *, take: bool) -> int:
        wire = to_wire(template, template=True)
        client = self._client
        message = Collect(client.next_request(), self.number, target.number, wire, take, self._within)
        return number_of(await client.call(message))


def _compute(fields: tuple[Any, ...], computed: Future[Fields]) -> None:
    try:
        computed.set_result(tuple(field() if is_function(field) else field for field in fields))
    except BaseException as error:  # noqa: BLE001  who awaits it hears of it
        computed.set_exception(error)


AsyncTransaction: TypeAlias = Transaction[AsyncTupleSpace]
"""A transaction of this client."""
