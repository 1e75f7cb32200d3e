"""One asyncio connection: many requests under way, replies in any order.

What is written in one round of the event loop goes out in one piece. A request that nobody waits for any more
is cancelled at the server too. It stays open until the server has answered it: a tuple that was on its way to
it already is put back, with what is left of its lease, as the newest; `settle` waits for that.

Source: ch. 4, Remote procedure call (asynchronous calls).
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import cast

from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerError, PeerSilent, UsageError
from dslab.linda.calls import MAX_REPLY_BYTES
from dslab.linda.messages import (
    LENGTH,
    Cancel,
    Found,
    FromClient,
    FromServer,
    In,
    MalformedMessage,
    Out,
    Rd,
    Refused,
    decode_reply,
    encode,
    encode_request,
)

MAX_UNREAD_BYTES = 64 * 1024 * 1024
"""So much of a subscription may wait for whoever iterates it: the bytes that came, and `TUPLE_BYTES` for each
tuple. To stop reading from the server instead would hold up the replies to all other requests, the iterator's
own among them."""

TUPLE_BYTES = 256
"""So much memory a tuple takes beside its values, as it waits."""

_PIECE_BYTES = 64 * 1024
_ROUNDS = 8
"""Of the loop, until a task hears that it is cancelled: one, and one more for each group that it is in."""


class Notices:
    """The tuples of a subscription that wait to be read, and last what ended it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[tuple[FromServer | PeerError | UsageError, int]] = asyncio.Queue()
        self._unread_bytes = 0
        self._ended = False

    def put(self, reply: FromServer, size: int) -> None:
        """Take a tuple, which came in ``size`` bytes; where others wait, none beyond `MAX_UNREAD_BYTES`."""
        if self._ended:
            return
        size += TUPLE_BYTES
        if self._queue.empty() or self._unread_bytes + size <= MAX_UNREAD_BYTES:
            self._unread_bytes += size
            self._queue.put_nowait((reply, size))
        else:
            unread = f"{self._queue.qsize():,} tuples of a subscription wait to be read, and no more can."
            self.end(
                UsageError(unread, remedy="Iterate it in a task of its own, or let a template ask for less.")
            )

    def end(self, error: PeerError | UsageError) -> None:
        """Let nothing more come."""
        self._ended = True
        self._queue.put_nowait((error, 0))

    async def get(self) -> FromServer:
        """Wait for the next; the error that ended it comes after all that came before."""
        reply, size = await self._queue.get()
        self._unread_bytes -= size
        if isinstance(reply, PeerError | UsageError):
            raise reply
        return reply


class AsyncConnection(asyncio.BufferedProtocol):
    """A connection to a server.

    Args:
        address: The server's, for messages.
        timeout_s: How long the server may take for what needs no waiting.

    Attributes:
        next_request: Gives a number for a request.
        lost: Ends when the connection has.
    """

    def __init__(self, address: Address, timeout_s: float) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self.next_request = count(1).__next__
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._left = False  # who closed it: this side
        self._buffer = memoryview(bytearray(_PIECE_BYTES))
        self._received = bytearray()
        self._end = LENGTH.size  # of the reply that comes next, as far as is known
        self._unsent = bytearray()
        self._open: dict[int, tuple[FromClient, asyncio.Future[FromServer]]] = {}
        self._subscriptions: dict[int, Notices] = {}
        self._returning: set[asyncio.Future[FromServer]] = set()  # what is cancelled or put back

    async def settle(self) -> None:
        """Wait until the server has heard of every cancelled request, and has back what came for it.

        Raises:
            PeerSilent: It did not answer in time.
        """
        for _ in range(_ROUNDS if self._open else 1):
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self.timeout_s):
                for _ in range(2):  # what is cancelled now; then what came for it all the same, put back
                    if self._returning:
                        await asyncio.wait(self._returning)
        except TimeoutError as error:
            raise self._silent() from error

    def close(self) -> None:
        """Close the connection: the server undoes open transactions, and what is on its way is lost."""
        if self._transport is not None:
            self._write()
            self._left = True
            self._transport.close()

    async def end(self) -> None:
        """Close the connection and wait until it has ended: what the server does not read in time is lost."""
        self.close()
        await asyncio.wait([self.lost], timeout=self.timeout_s)
        self._abort()
        await self.lost

    async def call(self, message: FromClient, wait_s: float | None = 0.0) -> FromServer:
        """Send a request and wait for its reply, ``wait_s`` longer than usual (None: for ever).

        Raises:
            FieldError: It is too long, and has not been sent.
        """
        future = self.begin(message)
        try:
            if wait_s is None:
                return await future
            async with asyncio.timeout(wait_s + self.timeout_s):
                return await future
        except TimeoutError as error:
            raise self._silent() from error
        except asyncio.CancelledError:
            self._give_up(message, future)
            raise

    def begin(self, message: FromClient) -> asyncio.Future[FromServer]:
        """Send a request: gives what ends with its reply.

        Raises:
            FieldError: It is too long, and has not been sent.
        """
        return self._begin(message, encode_request(message))

    def subscribe(self, request: int) -> Notices:
        """Give where the tuples of a subscription come."""
        notices = self._subscriptions[request] = Notices()
        return notices

    def unsubscribe(self, request: int) -> None:
        """Let no more of them come."""
        del self._subscriptions[request]
        if self._is_open():
            self._return(Cancel(self.next_request(), request))

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name

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
            self._take(decode_reply(received[start + LENGTH.size : end]), length)
            start = end
        return start

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._finish(self._closed() if self._left else PeerClosed(f"{self.address} closed the connection."))
        if not self.lost.done():
            self.lost.set_result(None)

    # ---- inside

    def _take(self, reply: FromServer, size: int) -> None:
        opened = self._open.pop(reply.request, None)
        if opened is not None:
            message, future = opened
            if future.cancelled():
                self._put_back(message, reply)
            else:
                future.set_result(reply)
        elif isinstance(reply, Refused) and not reply.request:  # it says why it is about to hang up
            self._finish(PeerClosed(f"{self.address} closes the connection: {reply.reason}"))
        elif reply.request in self._subscriptions:
            self._subscriptions[reply.request].put(reply, size)

    def _give_up(self, message: FromClient, future: asyncio.Future[FromServer]) -> None:
        """Take it that nobody waits for a reply any more, which may have come all the same."""
        if future.cancelled():
            if isinstance(message, In | Rd) and message.request in self._open and self._is_open():
                self._return(Cancel(self.next_request(), message.request))
        elif future.exception() is None:
            self._put_back(message, future.result())

    def _put_back(self, message: FromClient, reply: FromServer) -> None:
        if isinstance(message, In) and isinstance(reply, Found) and self._is_open():
            fields, lease_s = reply.fields, reply.lease_s
            self._return(Out(self.next_request(), message.space, fields, lease_s, message.transaction))

    def _begin(self, message: FromClient, data: bytes) -> asyncio.Future[FromServer]:
        self._send(data)
        future: asyncio.Future[FromServer] = asyncio.get_running_loop().create_future()
        self._open[message.request] = message, future
        return future

    def _return(self, message: Cancel | Out) -> None:
        future = self._begin(message, encode(message))  # what came goes back, however long it is
        self._returning.add(future)
        future.add_done_callback(self._returned)

    def _returned(self, future: asyncio.Future[FromServer]) -> None:
        self._returning.discard(future)
        future.exception()  # of a connection that is lost hears who uses it

    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _closed(self) -> PeerClosed:
        return PeerClosed(f"The connection to {self.address} is closed.")

    def _silent(self) -> PeerSilent:
        self._abort()
        return PeerSilent(f"{self.address} did not answer within {self.timeout_s:g} s.")

    def _abort(self) -> None:
        """Close the connection at once: what the server has not read yet it would not read now."""
        if self._transport is not None:
            self._left = True
            self._transport.abort()

    def _send(self, data: bytes) -> None:
        if not self._is_open():
            raise self._closed()
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._write)
        self._unsent += data

    def _write(self) -> None:
        unsent, self._unsent = self._unsent, bytearray()
        if unsent and self._transport is not None:
            self._transport.write(unsent)

    def _finish(self, error: PeerError) -> None:
        for _, future in self._open.values():
            if not future.done():
                future.set_exception(error)
        self._open.clear()
        for notices in self._subscriptions.values():
            notices.end(error)
