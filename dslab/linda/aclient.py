"""The asyncio client: many requests under way on one connection, in any order of replies.

::

    async with await connect("127.0.0.1:7070") as linda:
        await linda.universe.out(("task", 1))
        _, number = await linda.universe.in_(("task", int))

What is written in one round of the event loop goes out in one piece. A cancelled ``in_`` stops waiting at
the server too; if a tuple was on its way to it already, it is put back.

Source: ch. 2, Shared data spaces.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerError, PeerRefused, PeerSilent
from dslab.linda.calls import (
    DEFAULT_TIMEOUT_S,
    MAX_REPLY_BYTES,
    NoTuple,
    fields_of,
    number_of,
    token_or_default,
    where,
)
from dslab.linda.messages import (
    LENGTH,
    UNIVERSE,
    VERSION,
    Abort,
    Cancel,
    Collect,
    Commit,
    Count,
    Found,
    FromClient,
    FromServer,
    Hello,
    In,
    MalformedMessage,
    NewSpace,
    Notify,
    Out,
    Rd,
    decode_reply,
    encode,
)
from dslab.linda.values import Fields, Handle, from_wire, show, to_wire

_PIECE_BYTES = 64 * 1024


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


class AsyncClient(asyncio.BufferedProtocol):
    """A connection to a server.

    Attributes:
        universe: The space that is always there.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self.universe = self.space(UNIVERSE)
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_PIECE_BYTES))
        self._received = bytearray()
        self._end = LENGTH.size  # of the reply that comes next, as far as is known
        self._unsent = bytearray()
        self._requests = 0
        self._transactions = 0
        self._open: dict[int, asyncio.Future[FromServer]] = {}
        self._subscriptions: dict[int, asyncio.Queue[FromServer | None]] = {}
        self._given_up: dict[int, In] = {}
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()
        await self._lost

    def close(self) -> None:
        """Close the connection: the server undoes open transactions."""
        if self._transport is not None:
            self._write()
            self._transport.close()

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

    def next_request(self) -> int:
        """Give a number for a request."""
        self._requests += 1
        return self._requests

    async def call(self, message: FromClient, wait_s: float | None = 0.0) -> FromServer:
        """Send a request and wait for its reply, ``wait_s`` longer than usual (None: for ever)."""
        future = self.begin(message)
        try:
            if wait_s is None:
                return await future
            async with asyncio.timeout(wait_s + self.timeout_s):
                return await future
        except TimeoutError as error:
            self.close()
            raise PeerSilent(f"{self.address} did not answer within {self.timeout_s:g} s.") from error
        except asyncio.CancelledError:
            self._give_up(message)
            raise
        finally:
            self._open.pop(message.request, None)

    def begin(self, message: FromClient) -> asyncio.Future[FromServer]:
        """Send a request: gives what ends with its reply."""
        future: asyncio.Future[FromServer] = asyncio.get_running_loop().create_future()
        self._open[message.request] = future
        self._send(message)
        return future

    def subscribe(self, message: Notify) -> asyncio.Queue[FromServer | None]:
        """Send a subscription: gives where its tuples come, None at the end."""
        queue = self._subscriptions[message.request] = asyncio.Queue()
        self._send(message)
        return queue

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next piece is to go."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """A piece of the stream of replies has come."""
        self._received += self._buffer[:nbytes]
        if len(self._received) < self._end:
            return
        received, self._received = bytes(self._received), bytearray()
        try:
            start = self._take_all(received)
        except MalformedMessage as error:
            self._finish(error)
            self.close()
        else:
            self._received += received[start:]

    def _take_all(self, received: bytes) -> int:
        """Take the whole replies in some bytes: gives where the rest begins."""
        start = 0
        self._end = LENGTH.size
        while len(received) >= start + LENGTH.size:
            (length,) = LENGTH.unpack_from(received, start)
            if length > MAX_REPLY_BYTES:
                raise MalformedMessage(f"A reply of {length:,} bytes is announced.")
            end = start + LENGTH.size + length
            if end > len(received):
                self._end = LENGTH.size + length
                break
            self._take(decode_reply(received[start + LENGTH.size : end]))
            start = end
        return start

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._finish(PeerClosed(f"{self.address} closed the connection."))
        if not self._lost.done():
            self._lost.set_result(None)

    # ---- inside

    def _take(self, reply: FromServer) -> None:
        future = self._open.pop(reply.request, None)
        if future is not None and not future.done():
            future.set_result(reply)
            return
        queue = self._subscriptions.get(reply.request)
        if queue is not None:
            queue.put_nowait(reply)
            return
        given_up = self._given_up.pop(reply.request, None)
        if isinstance(reply, Found) and given_up is not None:
            back = Out(self.next_request(), given_up.space, reply.fields, None, given_up.transaction)
            self._send(back)

    def _give_up(self, message: FromClient) -> None:
        """Tell the server; whatever comes for this request from now on goes back."""
        future = self._open.pop(message.request, None)
        if self._lost.done() or not isinstance(message, In | Rd):
            return
        if isinstance(message, In):
            self._given_up[message.request] = message
            if future is not None and future.done() and not future.cancelled():
                self._take(future.result())
        self._send(Cancel(self.next_request(), message.request))

    def _send(self, message: FromClient) -> None:
        if self._transport is None or self._transport.is_closing():
            raise PeerClosed(f"The connection to {self.address} is closed.")
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._write)
        self._unsent += encode(message)

    def _write(self) -> None:
        unsent, self._unsent = self._unsent, bytearray()
        if unsent and self._transport is not None:
            self._transport.write(unsent)

    def _finish(self, error: PeerError) -> None:
        for future in self._open.values():
            if not future.done():
                future.set_exception(error)
        self._open.clear()
        for queue in self._subscriptions.values():
            queue.put_nowait(None)


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
        return await self._found(In, template, timeout_s)

    async def rd(self, template: Fields, *, timeout_s: float | None = None) -> Fields:
        """Read a tuple that matches, and leave it; wait until there is one."""
        return await self._found(Rd, template, timeout_s)

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

    async def _found(self, kind: type[In] | type[Rd], template: Fields, timeout_s: float | None) -> Fields:
        fields = await self._look(kind, template, timeout_s)
        if fields is not None:
            return fields
        wanted = show(from_wire(to_wire(template, template=True), template=True))
        raise NoTuple(f"No tuple matched {wanted} within {timeout_s or 0:g} s.")

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
