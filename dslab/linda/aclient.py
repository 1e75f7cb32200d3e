"""The asyncio client.

::

    async with await connect("127.0.0.1:7070") as linda:
        await linda.universe.out(("task", 1))
        _, number = await linda.universe.in_(("task", int))

A client has one connection (`aconnection`), on which many operations may wait at once. A cancelled ``in_``
stops waiting at the server too.

Source: ch. 2, Shared data spaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from dslab.kit.address import Address
from dslab.kit.errors import PeerError, PeerRefused
from dslab.linda.aconnection import AsyncConnection
from dslab.linda.calls import DEFAULT_TIMEOUT_S, fields_of, no_tuple, number_of, token_or_default, where
from dslab.linda.messages import (
    UNIVERSE,
    VERSION,
    Abort,
    Collect,
    Commit,
    Count,
    Hello,
    In,
    NewSpace,
    Notify,
    Out,
    Rd,
)
from dslab.linda.values import Fields, Handle, to_wire


async def connect(
    address: Address | str | None = None, *, token: str | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
) -> AsyncClient:
    """Connect to a server. Arguments and errors are those of `client.connect`."""
    address = where(address)
    loop = asyncio.get_running_loop()
    client = AsyncClient(address, timeout_s)
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(lambda: client, *address.pair)
    except OSError as error:
        raise PeerRefused(f"{address} took no connection: {error.strerror or error}.") from error
    try:
        number_of(await client.call(Hello(client.next_request(), VERSION, token_or_default(token))))
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

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()
        await self.lost

    def space(self, number: int, transaction: int = 0) -> AsyncTupleSpace:
        """Give a space that exists already."""
        return AsyncTupleSpace(self, number, transaction)

    async def new_space(self) -> AsyncTupleSpace:
        """Make a new space."""
        return self.space(number_of(await self.call(NewSpace(self.next_request()))))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """Do several things at once or not at all: an exception in the block undoes them."""
        self._transactions += 1
        transaction = AsyncTransaction(self, self._transactions)
        try:
            yield transaction
        except BaseException:
            with suppress(PeerError):  # a connection that broke has undone it
                number_of(await self.call(Abort(self.next_request(), transaction.number)))
            raise
        number_of(await self.call(Commit(self.next_request(), transaction.number)))


class AsyncTupleSpace(Handle):
    """A tuple space at a server. The operations are those of `client.TupleSpace`."""

    __slots__ = ("_client", "_transaction")

    def __init__(self, client: AsyncClient, number: int, transaction: int) -> None:
        super().__init__(number)
        self._client = client
        self._transaction = transaction

    async def out(self, fields: Fields, *, lease_s: float | None = None) -> None:
        """Put a tuple into the space."""
        client = self._client
        message = Out(client.next_request(), self.number, to_wire(fields), lease_s, self._transaction)
        number_of(await client.call(message))

    async def in_(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Take a tuple that matches; wait until there is one."""
        fields = await self._look(In, template, timeout_s)
        return fields if fields is not None else no_tuple(template, timeout_s)

    async def rd(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Read a tuple that matches, and leave it; wait until there is one."""
        fields = await self._look(Rd, template, timeout_s)
        return fields if fields is not None else no_tuple(template, timeout_s)

    async def inp(self, template: Fields) -> Fields | None:
        """Take a tuple that matches, if there is one now."""
        return await self._look(In, template, 0)

    async def rdp(self, template: Fields) -> Fields | None:
        """Read a tuple that matches, if there is one now."""
        return await self._look(Rd, template, 0)

    async def count(self, template: Fields) -> int:
        """Count the tuples that match."""
        wire = to_wire(template, template=True)
        return number_of(await self._client.call(Count(self._client.next_request(), self.number, wire)))

    async def copy_collect(self, target: Handle, template: Fields) -> int:
        """Copy all that match to another space, at one instant: gives how many."""
        return await self._collect(target, template, take=False)

    async def move(self, target: Handle, template: Fields) -> int:
        """Move all that match to another space, at one instant: gives how many."""
        return await self._collect(target, template, take=True)

    async def notify(self, template: Fields) -> AsyncIterator[Fields]:
        """Give every tuple that matches, from the first step of the iteration on, as it is put."""
        client = self._client
        request = client.next_request()
        queue = client.subscribe(Notify(request, self.number, to_wire(template, template=True)))
        while (reply := await queue.get()) is not None:
            fields = fields_of(reply, client.space)
            if fields is not None:
                yield fields

    async def _look(self, kind: type[In] | type[Rd], template: Fields, wait_s: float | None) -> Fields | None:
        client = self._client
        wire = to_wire(template, template=True)
        message = kind(client.next_request(), self.number, wire, wait_s, self._transaction)
        return fields_of(await client.call(message, wait_s), client.space)

    async def _collect(self, target: Handle, template: Fields, *, take: bool) -> int:
        wire = to_wire(template, template=True)
        client = self._client
        message = Collect(client.next_request(), self.number, target.number, wire, take)
        return number_of(await client.call(message))


class AsyncTransaction:
    """Several operations that happen at once: call it with a space to get that space within it."""

    def __init__(self, client: AsyncClient, number: int) -> None:
        self.number = number
        self._client = client

    def __call__(self, space: Handle) -> AsyncTupleSpace:
        """Give a space as this transaction sees it."""
        return self._client.space(space.number, self.number)
