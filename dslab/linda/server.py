"""The server: asyncio moves the bytes, `protocol.Spaces` decides.

All requests that one ``recv`` brings are served before anything is written, and what is then to be said to
a connection goes out in one piece. A durable server first writes down what has changed, once for all
connections that had something to say (`journal`): no reply leaves before what it tells of is on disk.

What no client may do to the server:

- Make it grow: a message has a longest length; a client that does not read its replies is not read from;
  one that subscribed and does not read is dropped when `MAX_UNSENT_BYTES` wait for it.
- End it, or hold up the others: malformed bytes end their connection alone.
- Take a tuple with it: a client that has gone, or has closed its side, is handed nothing (`_Peer.is_there`).

Source: ch. 3, Servers; ch. 2, Shared data spaces.
"""

from __future__ import annotations

import asyncio
import select
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dslab.kit.address import Address
from dslab.kit.errors import MachineError
from dslab.linda.journal import Journal
from dslab.linda.messages import (
    DEFAULT_MAX_MESSAGE_BYTES,
    LENGTH,
    MalformedMessage,
    Refused,
    decode_request,
    encode,
)
from dslab.linda.protocol import Sends, Spaces

BACKLOG = 1024
MAX_UNSENT_BYTES = 16 * 1024 * 1024
HIGH_WATER_BYTES = 256 * 1024
KEEPALIVE_S = 60
RECEIVE_BYTES = 256 * 1024

_GONE = getattr(select, "POLLRDHUP", select.POLLHUP) | select.POLLHUP | select.POLLERR


@dataclass(frozen=True, slots=True)
class Options:
    """How a server serves.

    Attributes:
        token: What clients must know; empty for nothing.
        data: The folder of a durable space; None for one that ends with its server.
        max_message_bytes: The longest message that is taken.
    """

    token: str = ""
    data: Path | None = None
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES


class Server:
    """Serves spaces to every connection.

    Attributes:
        buffer: Where received bytes come; asyncio hands them on before it receives more, so that all
            connections share it. (A new buffer for each ``recv`` makes a round trip twice as long.)
        failed: Ends in an error when the server must end: its disk takes no more.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._clock_s = (
            time.time() - time.monotonic()
        )  # leases outlive the process: they need the wall's clock
        self._peers: dict[int, _Peer] = {}
        self._unsent: dict[int, bytearray] = {}
        self._unsent_bytes = 0
        self._closed = False
        self._flushes = False
        self._next_connection = 1
        self._timer: asyncio.TimerHandle | None = None
        self._spaces = Spaces(token=options.token, alive=self._is_there, durable=options.data is not None)
        self._journal = Journal(options.data, self._spaces) if options.data else None
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()

    # ---- what a connection calls

    def connect(self, peer: _Peer, name: str) -> int:
        """Take a connection: gives its number."""
        connection = self._next_connection
        self._next_connection += 1
        self._peers[connection] = peer
        self._spaces.connect(connection, name)
        return connection

    def receive(self, connection: int, body: bytes | memoryview) -> None:
        """Serve a request.

        Raises:
            MalformedMessage: It is none.
        """
        self._send(self._spaces.receive(connection, decode_request(body), self._now_s()))
        if not self._spaces.admitted(connection):
            self._peers[connection].part()
        if self._unsent_bytes > HIGH_WATER_BYTES:
            self._sync()

    def refuse(self, connection: int, reason: str) -> None:
        """Say why a connection is about to be dropped."""
        self._send([(connection, Refused(0, reason))])

    def disconnect(self, connection: int) -> None:
        """Take the end of a connection."""
        del self._peers[connection]
        if self._closed:
            return  # transactions are undone by the next server that reads the journal
        self._unsent.pop(connection, None)
        self._send(self._spaces.disconnect(connection, self._now_s()))
        self.flush()

    def flush(self) -> None:
        """Write what is to be said; a durable server as soon as the other connections have been heard."""
        if self._journal is None:
            self._write()
        elif not self._flushes:
            self._flushes = True
            self._loop.call_soon(self._sync)

    def close(self) -> None:
        """Drop everybody."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._sync()
        if self._journal is not None:
            self._journal.close()
        for peer in list(self._peers.values()):
            peer.drop()

    # ---- inside

    def _send(self, sends: Sends) -> None:
        for connection, message in sends:
            data = encode(message)
            self._unsent_bytes += len(data)
            unsent = self._unsent.get(connection)
            if unsent is None:
                self._unsent[connection] = bytearray(data)
            elif len(unsent) < MAX_UNSENT_BYTES:
                unsent += data
            elif connection in self._peers:
                self._peers[connection].drop()
        self._set_timer()

    def _sync(self) -> None:
        """Write down what has changed, then say what is to be said."""
        self._flushes = False
        try:
            if self._journal is not None:
                self._journal.write(self._spaces.changes())
        except (
            OSError
        ) as error:  # the memory is ahead of the disk now: say nothing, and start again from disk
            self._fail(error)
            return
        self._write()

    def _write(self) -> None:
        unsent, self._unsent, self._unsent_bytes = self._unsent, {}, 0
        for connection, data in unsent.items():
            peer = self._peers.get(connection)
            if peer is not None:
                peer.write(data)

    def _fail(self, error: OSError) -> None:
        self._unsent.clear()
        if not self.failed.done():
            self.failed.set_exception(MachineError(f"Cannot write {self.options.data}: {error.strerror}."))

    def _is_there(self, connection: int) -> bool:
        peer = self._peers.get(connection)
        return peer is not None and peer.is_there()

    def _now_s(self) -> float:
        return time.monotonic() + self._clock_s

    def _set_timer(self) -> None:
        deadline_s = self._spaces.deadline_s
        if deadline_s is None:
            return
        at_s = deadline_s - self._now_s() + self._loop.time()
        if self._timer is not None and not self._timer.cancelled():
            if self._timer.when() <= at_s:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._send(self._spaces.tick(self._now_s()))
        self.flush()


class _Peer(asyncio.BufferedProtocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._unread = bytearray()  # what has come and is not served yet
        self._end = LENGTH.size  # of the message that comes first in it, as far as is known
        self._poller = select.poll()
        self._connection = 0
        self._transport: asyncio.Transport | None = None
        self._full = False  # what is to be said to it does not get through
        self._last = False  # nothing that it sends counts any more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
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
        self._connection = self._server.connect(self, name)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._server.buffer[:nbytes])
        if not self._unread and not self._full:
            unserved = self._serve(data)
            self._unread += data[unserved:]
        else:
            self._unread += data
            self._serve_unread()
        self._server.flush()

    def eof_received(self) -> bool:
        return False  # who has nothing more to say does not wait for an answer either

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.disconnect(self._connection)

    def pause_writing(self) -> None:
        assert self._transport is not None
        self._full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        assert self._transport is not None
        self._full = False
        self._serve_unread()
        self._server.flush()
        if not self._full:
            self._transport.resume_reading()

    def write(self, data: bytearray) -> None:
        """Send, or drop a client that reads nothing."""
        assert self._transport is not None
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._last:
            self._transport.close()
        elif self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._transport.abort()

    def drop(self) -> None:
        """End the connection."""
        assert self._transport is not None
        self._transport.abort()

    def is_there(self) -> bool:
        """Does the kernel know of no end of this connection, even one not yet read?"""
        assert self._transport is not None
        return not self._transport.is_closing() and not self._poller.poll(0)

    def _serve_unread(self) -> None:
        if len(self._unread) >= self._end:
            unread, self._unread = bytes(self._unread), bytearray()
            unserved = self._serve(unread)
            self._unread += unread[unserved:]

    def _serve(self, data: bytes) -> int:
        """Serve the whole messages in some bytes: gives where the rest begins."""
        start, view, server = 0, memoryview(data), self._server
        self._end = LENGTH.size
        while not (self._full or self._last):
            body = start + LENGTH.size
            if body > len(data):
                break
            (length,) = LENGTH.unpack_from(data, start)
            if length > server.options.max_message_bytes:
                self._refuse(f"A message of {length:,} bytes is announced.")
                break
            if body + length > len(data):
                self._end = LENGTH.size + length
                break
            try:
                server.receive(self._connection, view[body : body + length])
            except MalformedMessage as error:
                self._refuse(str(error))
            start = body + length
        return len(data) if self._last else start

    def _refuse(self, reason: str) -> None:
        self._last = True
        self._server.refuse(self._connection, reason)

    def part(self) -> None:
        """Take leave of a client that was not admitted, after the reply that says so."""
        self._last = True


@asynccontextmanager
async def serving(address: Address, options: Options) -> AsyncIterator[tuple[Address, Server]]:
    """Serve at an address (port 0 takes any free one) until the block ends: gives the real address.

    Raises:
        MachineError: The address is not to be had, or the folder of the journal.
    """
    server = Server(options)
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(lambda: _Peer(server), *address.pair, backlog=BACKLOG)
    except OSError as error:
        server.close()
        remedy = "Take another port, or port 0 for any free one."
        raise MachineError(f"Cannot listen on {address}: {error.strerror}.", remedy=remedy) from error
    try:
        yield Address(*listener.sockets[0].getsockname()[:2]), server
    finally:
        listener.close()
        server.close()
        await asyncio.sleep(0)  # connections end in the loop's next round


async def serve(address: Address, options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for stop in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stop, stopped.set)
    async with serving(address, options) as (bound, server):
        print(f"listening on {bound}", flush=True)  # noqa: T201
        server.failed.add_done_callback(lambda _: stopped.set())
        await stopped.wait()
        if server.failed.done():
            server.failed.result()
