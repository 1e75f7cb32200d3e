"""The server on asyncio, over TCP.

The requests that one ``recv`` brings are executed one after the other (`dispatch`), and their replies go out
in one write.

What no client may do to the server:

- Make it grow: a message has a longest length; a client that does not read its replies, or has too many
  calls under way, is not read from.
- End it, or hold up the others: malformed bytes end their own connection.
- Take back what it asked: a call whose client has gone is executed to its end. Nobody is told.

A client that half-closes still gets every reply.

Source: ch. 3, Servers (general design issues); ch. 4, Remote procedure call.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

from dslab.kit.address import Address
from dslab.kit.errors import MachineError
from dslab.kit.stopping import stop_event
from dslab.rpc.dispatch import Dispatcher
from dslab.rpc.inbox import Inbox
from dslab.rpc.messages import Batch, Message, Response
from dslab.rpc.service import Service, complain

BACKLOG = 1024
HIGH_WATER_BYTES = 256 * 1024

Serving = Callable[[Address, Service, int], AbstractAsyncContextManager[Address]]


class _Connection(asyncio.BufferedProtocol):
    """One client."""

    def __init__(self, dispatcher: Dispatcher, connections: set[_Connection]) -> None:
        self._dispatcher = dispatcher
        self._service = dispatcher.service
        self._connections = connections
        connections.add(self)
        self.peer = self
        self.most_bytes = self._service.limits.max_message_bytes
        self._inbox = Inbox(self._service.codec, self._service.limits.max_message_bytes)
        self._transport: asyncio.Transport | None = None
        self._unsent = bytearray()
        self._unserved: deque[tuple[float, Message]] = deque()  # and since when
        self._in_flight = 0
        self._full = False  # its replies do not get through
        self._ending = False  # it has said all
        self._gone = False
        self._flushes = False

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one, without saying so
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self._connections) > self._service.limits.max_connections:
            complain(name_of(transport), "too many clients")
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._serve(self._inbox.received(nbytes))
        if self._inbox.failure is not None:
            self._refuse()

    def eof_received(self) -> bool:
        self._ending = True
        self._serve(self._inbox.finish())
        return bool(self._in_flight or self._unserved)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._unserved.clear()
        self._gone = True
        self._forget()

    def pause_writing(self) -> None:
        self._full = True
        self._hold()

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    # ---- what the dispatcher calls

    def send(self, message: Response | Batch) -> None:
        self._service.write(message, self._unsent)
        if len(self._unsent) > HIGH_WATER_BYTES:
            self._flush()
        elif not self._flushes:
            self._flushes = True
            self._dispatcher.loop.call_soon(self._flush)

    def skip(self) -> None:
        """On a stream, no reply is simply none."""

    def began(self) -> None:
        self._in_flight += 1

    def ended(self) -> None:
        self._in_flight -= 1
        self._forget()
        self._go_on()

    def drop(self) -> None:
        """End the connection at once, if it has begun."""
        if self._transport is not None:
            self._transport.abort()

    # ---- inside

    def _forget(self) -> None:
        """Drop the instances of a client that has gone, after its last call: that may still make one."""
        if self._gone and not self._in_flight:
            self._service.objects.forget(self)

    def _serve(self, messages: list[Message]) -> None:
        """Serve messages, as far as there is room; the others wait."""
        now_s = self._dispatcher.loop.time()
        if self._unserved:
            self._unserved.extend((now_s, message) for message in messages)
            return
        self._flushes = True  # in a moment, below
        for place, message in enumerate(messages):
            if self._full or self._in_flight >= self._service.limits.max_in_flight:
                self._unserved.extend((now_s, message) for message in messages[place:])
                self._hold()
                break
            self._dispatcher.take(self, message, now_s)
        self._flush()

    def _serve_unserved(self) -> None:
        """Serve what had to wait. It has waited since it came, for its deadline's sake."""
        self._flushes = True
        most = self._service.limits.max_in_flight
        while self._unserved and not self._full and self._in_flight < most:
            came_s, message = self._unserved.popleft()
            self._dispatcher.take(self, message, came_s)
        self._flush()

    def _flush(self) -> None:
        """Write everything that is to be said, in one piece."""
        self._flushes = False
        if not self._unsent:
            return
        assert self._transport is not None
        data, self._unsent = self._unsent, bytearray()  # the transport may keep it for a while
        if not self._transport.is_closing():
            self._transport.write(data)

    def _hold(self) -> None:
        """Read no more from a client that has too much under way."""
        assert self._transport is not None
        if not self._transport.is_closing() and self._transport.is_reading():
            self._transport.pause_reading()

    def _go_on(self) -> None:
        """Serve what had to wait; then read again, or end what has been said to its end."""
        assert self._transport is not None
        if self._unserved:
            self._serve_unserved()
        if self._unserved or self._full or self._transport.is_closing():
            return
        if self._ending and not self._in_flight:
            self._flush()
            self._transport.close()
        elif not self._ending and self._inbox.failure is None:
            self._transport.resume_reading()

    def _refuse(self) -> None:
        """End a connection in whose bytes no message can be found any more, after the last reply."""
        assert self._transport is not None
        complain(name_of(self._transport), str(self._inbox.failure))
        self._ending = True
        self._hold()
        self._go_on()


@asynccontextmanager
async def serving(address: Address, service: Service, workers: int = 0) -> AsyncIterator[Address]:
    """Serve at an address (port 0 takes any free one) until the block ends: gives the real address.

    Raises:
        MachineError: The address is not to be had.
    """
    dispatcher = Dispatcher(service, workers)
    connections: set[_Connection] = set()
    try:
        listener = await dispatcher.loop.create_server(
            lambda: _Connection(dispatcher, connections), *address.pair, backlog=BACKLOG
        )
    except OSError as error:
        await dispatcher.close()
        raise cannot_listen(address, error) from error
    try:
        yield Address(*listener.sockets[0].getsockname()[:2])
    finally:
        await dispatcher.close()
        await hang_up(listener, connections)


async def hang_up(listener: asyncio.Server, connections: set[Any]) -> None:
    """Accept nobody any more, and hang up on everybody."""
    for each in listener.sockets:
        asyncio.get_running_loop().remove_reader(each.fileno())
    await asyncio.sleep(0)  # who was accepted in this turn gets a transport: a closed listener gives none
    listener.close()
    while connections:
        for connection in connections:
            connection.drop()
        await asyncio.sleep(0)


def name_of(transport: asyncio.BaseTransport) -> str:
    """Who is at the other end."""
    peer: Any = transport.get_extra_info("peername")
    return str(Address(*peer[:2])) if peer else "a client that has left"


def cannot_listen(address: Address, error: OSError) -> MachineError:
    """Say why a socket could not be bound."""
    remedy = "Take another port, or port 0 for any free one."
    return MachineError(f"Cannot listen on {address}: {error.strerror}.", remedy=remedy)


async def serve(address: Address, service: Service, workers: int = 0, by: Serving = serving) -> None:
    """Serve until SIGTERM or Ctrl-C, by TCP or another transport's ``serving``."""
    with stop_event() as stopped:
        async with by(address, service, workers) as bound:
            print(f"listening on {bound}", flush=True)  # noqa: T201
            await stopped.wait()
