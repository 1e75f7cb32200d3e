"""One asyncio connection: many requests under way, replies in any order.

What is written in one round of the event loop goes out in one piece. A request that nobody waits for any more
is cancelled at the server too; if a tuple was on its way to it already, it is put back.

Source: ch. 4, Remote procedure call (asynchronous calls).
"""

from __future__ import annotations

import asyncio
from itertools import count

from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerError, PeerSilent
from dslab.linda.calls import MAX_REPLY_BYTES
from dslab.linda.messages import (
    LENGTH,
    Cancel,
    Found,
    FromClient,
    FromServer,
    In,
    MalformedMessage,
    Notify,
    Out,
    Rd,
    decode_reply,
    encode,
)

_PIECE_BYTES = 64 * 1024


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
        self._buffer = memoryview(bytearray(_PIECE_BYTES))
        self._received = bytearray()
        self._end = LENGTH.size  # of the reply that comes next, as far as is known
        self._unsent = bytearray()
        self._open: dict[int, asyncio.Future[FromServer]] = {}
        self._subscriptions: dict[int, asyncio.Queue[FromServer | None]] = {}
        self._given_up: dict[int, In] = {}

    def close(self) -> None:
        """Close the connection: the server undoes open transactions."""
        if self._transport is not None:
            self._write()
            self._transport.close()

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
        if not self.lost.done():
            self.lost.set_result(None)

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
        if self.lost.done() or not isinstance(message, In | Rd):
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
