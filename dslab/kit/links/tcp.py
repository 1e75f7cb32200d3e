"""The TCP side of a link: a listener, and for every connection to it one to the target.

A connection is passed on as it is: a half-close (FIN) as a half-close, a reset as a reset. One thing cannot
be: the kernel has accepted a connection before the link knows whether the target will. So a target that
refuses shows to the client as a connection that is accepted and then reset. (A link that is itself told to
`Refuse` does not listen, and its clients see what they would see without it.)

A receiver that does not read makes the link stop reading from the sender, so that the sender's kernel stops
it in turn (back-pressure); nothing piles up here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct

from dslab.kit.address import Address
from dslab.kit.links.faults import Cut, Fault, Heading, Partition, Refuse, Reset
from dslab.kit.links.intake import READ_BYTES
from dslab.kit.links.lane import Lane
from dslab.kit.links.link import Link
from dslab.kit.trace.event import Kind

BACKLOG = 512
# How much the kernel keeps for a link, each way. Left to itself it grows to megabytes, and a sender would
# notice only then that its receiver does not read.
KERNEL_BYTES = 256 * 1024
LINGER_0 = struct.pack("ii", 1, 0)  # close() then sends RST in place of FIN


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
    """One of the two sockets of a connection: reads for one lane, is written to by the other."""

    def __init__(self, connection: Connection, reads: Lane, writes: Lane) -> None:
        self.transport: asyncio.Transport | None = None
        self.reads = reads
        self.writes = writes
        self._connection = connection
        self._buffer = connection.buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is connected."""
        assert isinstance(transport, asyncio.Transport)
        # Anything that the kernel does not take at once counts as full: what waits, waits at the sender.
        transport.set_write_buffer_limits(high=0)
        own = transport.get_extra_info("socket")
        for way in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            own.setsockopt(socket.SOL_SOCKET, way, KERNEL_BYTES)
        self.transport = self.reads.source = self.writes.sink = transport
        self._connection.made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        return self._buffer.view[: self.reads.read_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        """That many bytes have come in."""
        self.reads.carry(self._buffer.view[:nbytes])
        if self.reads.sink_full:
            self._buffer.give_away()

    def eof_received(self) -> bool:
        """The peer will send no more; it may still receive, so the socket stays open."""
        self.reads.finish()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: by us, or by a reset."""
        self.transport = self.reads.source = self.writes.sink = None
        self.writes.discard()
        self._connection.lost(self, exc)

    def pause_writing(self) -> None:
        """The peer does not read."""
        self.writes.sink_full = True
        self.writes.regulate()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self.writes.sink_full = False
        self.writes.pump()

    def abort(self, *, reset: bool) -> None:
        """Close the socket now, and forget what was not sent."""
        if self.transport is None:
            return
        if reset:
            with contextlib.suppress(OSError):  # it may have been reset from the other side
                own = self.transport.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        self.transport.abort()


class Connection:
    """A client's connection and the one to the target that it is passed on to."""

    def __init__(self, proxy: TcpProxy, index: int) -> None:
        self.index = index
        self.buffer = proxy.buffer
        self._proxy = proxy
        self._link = proxy.link
        self._forward, self._backward = self._lane("forward"), self._lane("backward")
        self.client = End(self, reads=self._forward, writes=self._backward)
        self._target = End(self, reads=self._backward, writes=self._forward)
        self._connecting: asyncio.Task[None] | None = None
        self._refused = False

    def _lane(self, heading: Heading) -> Lane:
        return Lane(self._link, heading, self.index, on_end=self._ended, on_reset=self.reset)

    @property
    def lanes(self) -> tuple[Lane, Lane]:
        """Its two directions."""
        return self._forward, self._backward

    def made(self, end: End) -> None:
        """One of the two sockets is connected."""
        if end is self.client:
            self._proxy.opened(self)
        else:
            for lane in self.lanes:
                lane.refresh()

    def connect(self) -> None:
        """Connect to the target."""
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        upstreams = self._link.spec.upstreams
        upstream = upstreams[self.index % len(upstreams)]
        try:
            await asyncio.get_running_loop().create_connection(lambda: self._target, *upstream.pair)
        except OSError as error:
            # asyncio's own text names the address, which says less to a reader than "Connection refused".
            code = error.errno or 0
            reason = os.strerror(code) if code > 0 else str(error.strerror or error)
            self._link.note(Kind.RESET, "backward", self.index, f"{self._link.spec.target}: {reason}")
            self._refused = True
            self.reset()

    def _ended(self) -> None:
        if self._forward.over and self._backward.over:
            for end in (self.client, self._target):
                if end.transport is not None:
                    end.transport.close()

    def lost(self, end: End, exc: Exception | None) -> None:
        """One socket is closed; by whatever was not in good order, the other one is reset."""
        if exc is not None:
            end.reads.break_off()
        if self.client.transport is None:
            if self._connecting is not None:
                self._connecting.cancel()
            if self._target.transport is None:
                self._discard()  # one direction may never have had a sink
                self._proxy.closed(self)

    def reset(self) -> None:
        """Send RST to both sides."""
        self._abort(reset=True)

    def cut(self, note: str) -> None:
        """Close both sides."""
        self._link.note(Kind.CLOSE, "", self.index, note)
        self._abort(reset=False)

    def _abort(self, *, reset: bool) -> None:
        """Close both sockets. They learn of it in the next turn of the loop; nothing leaves until then."""
        self._discard()
        self.client.abort(reset=reset)
        self._target.abort(reset=reset)

    def _discard(self) -> None:
        """Forget what has not left. For a target that refused none is on record: how much came is chance."""
        for lane in self.lanes:
            lane.discard(on_record=not self._refused)


class TcpProxy:
    """The listener of a TCP link and its connections."""

    def __init__(self, link: Link, buffer: ReadBuffer) -> None:
        self.link = link
        self.buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[int, Connection] = {}
        self._all_closed = asyncio.Event()
        self._closing = False

    async def open(self, listen: Address) -> Address:
        """Listen.

        Returns:
            Where, with the real port.
        """
        found = await self._loop.getaddrinfo(*listen.pair, type=socket.SOCK_STREAM)
        self._socket = _bound_socket(found[0][0], found[0][4])
        await self._listen()
        return Address(*self._socket.getsockname()[:2])

    async def close(self) -> None:
        """Stop listening and close every connection."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._socket.close()
        for connection in list(self._connections.values()):
            connection.cut("link closed")
        while self._connections:
            self._all_closed.clear()
            await self._all_closed.wait()

    def put_on_record(self) -> None:
        """The trace ends: record what has not arrived, or is not whole."""
        for connection in self._connections.values():
            for lane in connection.lanes:
                lane.put_on_record()

    async def strike(self, fault: Fault) -> None:
        """A fault was applied to the link: do at once what is to be done at once."""
        match fault:
            case Reset(after_bytes=None):
                self._reset_all(fault)
            case Cut():
                self._cut_all()
            case Refuse():
                self.link.injected[fault.kind] += 1
        for connection in list(self._connections.values()):
            for lane in connection.lanes:
                lane.count_from_here(fault.kind)
        await self.refresh()

    async def refresh(self) -> None:
        """Other faults stand than before."""
        await self._listen()
        for connection in list(self._connections.values()):
            self._connect(connection)
            for lane in connection.lanes:
                lane.refresh()

    async def _listen(self) -> None:
        """Listen, or refuse: then the port stays ours, bound by a socket on which nobody listens."""
        refuse = self.link.standing_of(Refuse) is not None
        assert self._socket is not None
        if refuse and self._server is not None:
            family, address = self._socket.family, self._socket.getsockname()
            self._server.close()
            self._server, self._socket = None, _bound_socket(family, address)
        elif not refuse and self._server is None:
            self._server = await self._loop.create_server(self._accept, sock=self._socket, backlog=BACKLOG)

    def _accept(self) -> End:
        self.link.connections += 1
        return Connection(self, self.link.connections - 1).client

    def opened(self, connection: Connection) -> None:
        """A client has connected."""
        self._connections[connection.index] = connection
        self.link.open_connections = len(self._connections)
        self.link.note(Kind.OPEN, "forward", connection.index)
        self.link.injected.update(set(self.link.conditions["forward"].silenced_by))
        cut = self.link.standing_of(Cut)
        if self._closing:  # it was accepted just before
            connection.cut("link closed")
        elif cut is not None and cut.meet():
            self.link.injected[cut.fault.kind] += 1
            connection.cut("cut")
        else:
            self._connect(connection)

    def _connect(self, connection: Connection) -> None:
        if self.link.standing_of(Partition) is None:
            connection.connect()

    def closed(self, connection: Connection) -> None:
        """Both sockets of a connection are closed."""
        self._connections.pop(connection.index, None)
        self.link.open_connections = len(self._connections)
        if not self._connections:
            self._all_closed.set()

    def _reset_all(self, fault: Reset) -> None:
        for connection in list(self._connections.values())[: fault.count]:
            self.link.injected[fault.kind] += 1
            self.link.note(Kind.RESET, fault.direction or "", connection.index, "injected")
            connection.reset()

    def _cut_all(self) -> None:
        for connection in list(self._connections.values()):
            cut = self.link.standing_of(Cut)
            if cut is None or not cut.meet():
                return
            self.link.injected[cut.fault.kind] += 1
            connection.cut("cut")


def _bound_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    own = socket.socket(family, socket.SOCK_STREAM)
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.setblocking(False)
        own.bind(address)
    except BaseException:
        own.close()
        raise
    return own
