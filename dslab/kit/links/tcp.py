"""The TCP side of a link: a listener, and for every connection to it one to the target.

A connection is passed on as it is: a half-close (FIN) as a half-close, a reset as a reset. One thing cannot
be: the kernel has accepted a connection before the link knows whether the target will. So a target that
refuses shows to the client as a connection that is accepted and then reset.

A receiver that does not read makes the link stop reading from the sender, so that the sender's kernel stops
it in turn (back-pressure); nothing piles up here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Literal

from dslab.kit.address import Address
from dslab.kit.links.link import Link
from dslab.kit.links.tap import KEPT_BYTES
from dslab.kit.trace.event import Kind

READ_BYTES = 256 * 1024
BACKLOG = 512
LINGER_0 = struct.pack("ii", 1, 0)  # close() then sends RST in place of FIN

Heading = Literal["forward", "backward"]


class ReadBuffer:
    """What every connection of a program reads into.

    One for all of them: a read and the write that follows it happen in one turn of the event loop. Only when
    the receiver could not take everything does the transport keep (from Python 3.12 on) a view of the rest;
    then the buffer is given away and the next read gets a new one.
    """

    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_BYTES))

    def give_away(self) -> None:
        """Never write into the present buffer again."""
        self.view = memoryview(bytearray(READ_BYTES))


class End(asyncio.BufferedProtocol):
    """One socket of a connection: the client's, or the one to the target. Passes on what it reads."""

    def __init__(self, connection: Connection, heading: Heading) -> None:
        self.connection = connection
        self.heading: Heading = heading
        self.transport: asyncio.Transport | None = None
        self.other: End | None = None
        self._buffer = connection.buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connection.made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        return self._buffer.view

    def buffer_updated(self, nbytes: int) -> None:
        """That many bytes have come in."""
        view = self._buffer.view[:nbytes]
        assert self.other is not None
        assert self.other.transport is not None
        transport = self.other.transport
        link = self.connection.link
        link.bytes[self.heading] += nbytes
        link.pieces[self.heading] += 1
        if not link.tap.on:
            transport.write(view)
        else:
            t_s = link.tap.now()
            kept = bytes(view[:KEPT_BYTES])
            transport.write(view)
            link.record(
                Kind.CHUNK,
                self.heading,
                self.connection.index,
                kept,
                size=nbytes,
                t_s=t_s,
                arrive_s=link.tap.now(),
            )
        if transport.get_write_buffer_size():
            self._buffer.give_away()

    def eof_received(self) -> bool:
        """The peer will send no more; it may still receive."""
        self.connection.ended(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: by us, or by a reset."""
        self.connection.lost(self, exc)

    def pause_writing(self) -> None:
        """The peer does not read: let the other one not send."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def reset(self) -> None:
        """Send RST and forget what was not sent."""
        if self.transport is not None:
            with contextlib.suppress(OSError):
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0
                )
            self.transport.abort()


class Connection:
    """A client's connection and the one to the target that it is passed on to."""

    def __init__(self, proxy: TcpProxy, index: int) -> None:
        self.proxy = proxy
        self.link = proxy.link
        self.buffer = proxy.buffer
        self.index = index
        self.client = End(self, "forward")
        self.target = End(self, "backward")
        self._half_closed: set[str] = set()
        self._connecting: asyncio.Task[None] | None = None

    def made(self, end: End) -> None:
        """One of the two sockets is connected."""
        assert end.transport is not None
        if end is self.client:
            end.transport.pause_reading()
            self.proxy.opened(self)
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            return
        self.client.other, self.target.other = self.target, self.client
        if self.client.transport is not None:
            self.client.transport.resume_reading()

    async def _connect(self) -> None:
        upstreams = self.link.spec.upstreams
        upstream = upstreams[self.index % len(upstreams)]
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.target, *upstream.pair)
        except OSError as error:
            self.link.note(Kind.RESET, "backward", self.index, f"{self.link.spec.target}: {error.strerror}")
            self.client.reset()

    def ended(self, end: End) -> None:
        """Pass on a half-close; the second one is the end of the connection."""
        assert end.other is not None
        assert end.other.transport is not None
        self._half_closed.add(end.heading)
        self.link.note(Kind.CLOSE, end.heading, self.index)
        with contextlib.suppress(OSError):
            end.other.transport.write_eof()
        if len(self._half_closed) == 2:
            for one in (self.client, self.target):
                if one.transport is not None:
                    one.transport.close()

    def lost(self, end: End, exc: Exception | None) -> None:
        """One socket is closed; unless in good order, so is the other."""
        end.transport = None
        other = self.target if end is self.client else self.client
        if exc is not None:
            self.link.note(Kind.RESET, end.heading, self.index)
            other.reset()
        if self.client.transport is None and self.target.transport is None:
            self.proxy.closed(self)

    def abort(self) -> None:
        """Close both sockets now."""
        if self._connecting is not None:
            self._connecting.cancel()
        for end in (self.client, self.target):
            if end.transport is not None:
                end.transport.abort()


class TcpProxy:
    """The listener of a TCP link and its connections."""

    def __init__(self, link: Link, buffer: ReadBuffer) -> None:
        self.link = link
        self.buffer = buffer
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def open(self, listen: Address) -> Address:
        """Listen.

        Returns:
            Where, with the real port.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, *listen.pair, backlog=BACKLOG)
        return Address(*self._server.sockets[0].getsockname()[:2])

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        while self._connections:
            await asyncio.sleep(0)

    def _accept(self) -> End:
        self.link.connections += 1
        return Connection(self, self.link.connections - 1).client

    def opened(self, connection: Connection) -> None:
        """A client has connected."""
        self._connections.add(connection)
        self.link.open_connections = len(self._connections)
        self.link.note(Kind.OPEN, "forward", connection.index)

    def closed(self, connection: Connection) -> None:
        """Both sockets of a connection are closed."""
        self._connections.discard(connection)
        self.link.open_connections = len(self._connections)
