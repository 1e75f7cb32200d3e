"""One connection of the server: bytes in, whole messages on; replies out.

A message may come in pieces, and many in one piece. A client that does not read its replies is not read from
(`Peer.pause_writing`); if it is sent more than `MAX_UNSENT_BYTES` all the same, having subscribed, it is
dropped.

Source: ch. 4, Transient messaging with sockets; framing: see `messages`.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import Protocol, cast

from dslab.kit.address import Address
from dslab.linda.messages import LENGTH, MalformedMessage

MAX_UNSENT_BYTES = 16 * 1024 * 1024
HIGH_WATER_BYTES = 256 * 1024
KEEPALIVE_S = 60

_GONE = getattr(select, "POLLRDHUP", select.POLLHUP) | select.POLLHUP | select.POLLERR


class Serves(Protocol):
    """What a connection needs of its server.

    Attributes:
        buffer: Where received bytes come; asyncio hands them on before it receives more, so that all
            connections share it. (A new buffer for each ``recv`` makes a round trip twice as long.)
        max_message_bytes: The longest message that is taken.
    """

    buffer: memoryview
    max_message_bytes: int

    def connect(self, peer: Peer, name: str) -> int:
        """Take a connection: gives its number."""

    def receive(self, peer: Peer, body: bytes | memoryview) -> None:
        """Serve a request. Raises MalformedMessage if it is none."""

    def refuse(self, peer: Peer, reason: str) -> None:
        """Say why a connection is about to be dropped."""

    def disconnect(self, peer: Peer) -> None:
        """Take the end of a connection."""

    def flush(self) -> None:
        """Say what is to be said."""


class Peer(asyncio.BufferedProtocol):
    """One connection.

    Attributes:
        number: What the server calls it.
        admitted: The server has let it in.
    """

    def __init__(self, server: Serves) -> None:
        self.number = 0
        self.admitted = False
        self._server = server
        self._transport: asyncio.Transport
        self._unread = bytearray()  # what has come and is not served yet
        self._end = LENGTH.size  # of the message that comes first in it, as far as is known
        self._poller = select.poll()
        self._full = False  # what is to be said to it does not get through
        self._last = False  # nothing that it sends counts any more

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        connected = transport.get_extra_info("socket")
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # some leave without a word
        if hasattr(socket, "TCP_KEEPIDLE"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        self._poller.register(connected.fileno(), _GONE)
        peer = transport.get_extra_info("peername")
        name = str(Address(*peer[:2])) if peer else "a client that has left"
        self.number = self._server.connect(self, name)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next piece is to go."""
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """A piece of the stream of requests has come."""
        received = self._server.buffer[:nbytes]
        if self._unread or self._full:
            self._unread += received
            self._serve_unread()
        else:
            unserved = self._serve(received)
            if unserved < nbytes:
                self._unread += received[unserved:]
        self._server.flush()

    def eof_received(self) -> bool:
        """It has nothing more to say, so it does not wait for an answer either."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._server.disconnect(self)

    def pause_writing(self) -> None:
        """It does not read its replies."""
        self._full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has read them."""
        self._full = False
        self._serve_unread()
        self._server.flush()
        if not self._full:
            self._transport.resume_reading()

    # ---- what the server calls

    def write(self, data: bytearray) -> None:
        """Send, or drop a client that reads nothing."""
        transport = self._transport
        if transport.is_closing():
            return
        transport.write(data)
        if self._last:
            transport.close()
        elif self._full and transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            transport.abort()

    def part(self) -> None:
        """Take leave of a client that was not admitted, after the reply that says so."""
        self._last = True

    def drop(self) -> None:
        """End the connection."""
        self._transport.abort()

    def is_there(self) -> bool:
        """Does the kernel know of no end of this connection, even one not yet read?"""
        return not self._transport.is_closing() and not self._poller.poll(0)

    # ---- inside

    def _serve_unread(self) -> None:
        if len(self._unread) >= self._end:
            unread, self._unread = self._unread, bytearray()
            unserved = self._serve(memoryview(unread))
            self._unread += unread[unserved:]

    def _serve(self, received: memoryview) -> int:
        """Serve the whole messages in some bytes: gives where the rest begins."""
        start, size, server = 0, len(received), self._server
        self._end = LENGTH.size
        while size - start >= LENGTH.size and not (self._full or self._last):
            body = start + LENGTH.size
            (length,) = LENGTH.unpack_from(received, start)
            if length > server.max_message_bytes:
                self._refuse(f"A message of {length:,} bytes is announced.")
            elif body + length > size:
                self._end = LENGTH.size + length
                break
            else:
                start = body + length
                try:
                    server.receive(self, received[body:start])
                except MalformedMessage as error:
                    self._refuse(str(error))
        return size if self._last else start

    def _refuse(self, reason: str) -> None:
        self._last = True
        self._server.refuse(self, reason)
