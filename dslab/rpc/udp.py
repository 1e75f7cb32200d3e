"""The server over UDP: a datagram is a message.

There is no connection to set up, and none to lose: a call costs one round trip, and a server that was
started again is simply there again. What TCP did for us is the stubs' business now: a datagram may be lost,
doubled or late. So calls over UDP are under ``at-least-once`` or ``at-most-once``, unless the caller does not
mind.

A message must fit a datagram. A result that does not is answered with an error that says so; bytes that are
no message are dropped, since they may come from anybody.

Source: ch. 4, Sockets (connectionless); A. Birrell and B. Nelson, "Implementing Remote Procedure Calls",
1984, whose protocol is one packet each way where all goes well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from dslab.kit.address import Address
from dslab.rpc.dispatch import Dispatcher
from dslab.rpc.messages import MAX_DATAGRAM_BYTES, Batch, MalformedMessage, Response
from dslab.rpc.server import cannot_listen
from dslab.rpc.service import Service, complain


@dataclass(frozen=True, slots=True)
class _Correspondent:
    """Who sent a datagram. Two are one if their addresses are."""

    address: tuple[Any, ...]
    socket: _Socket

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Correspondent) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    @property
    def peer(self) -> Any:
        return self.address

    @property
    def most_bytes(self) -> int:
        return MAX_DATAGRAM_BYTES

    def send(self, message: Response | Batch) -> None:
        self.socket.send(message, self.address)

    def skip(self) -> None:
        """No reply is none."""

    def began(self) -> None:
        self.socket.in_flight += 1

    def ended(self) -> None:
        self.socket.in_flight -= 1


class _Socket(asyncio.DatagramProtocol):
    """The one socket of all clients."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.in_flight = 0
        self._dispatcher = dispatcher
        self._service = dispatcher.service
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # it is none in CPython 3.11, by class

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self.in_flight >= self._service.limits.max_in_flight:
            return  # as good as lost: whoever wants it done sends it again
        try:
            message = self._service.codec.decode(data)
        except MalformedMessage as error:
            complain(str(Address(*addr[:2])), str(error))
            return
        self._dispatcher.take(_Correspondent(addr, self), message, self._dispatcher.loop.time())

    def error_received(self, exc: Exception) -> None:
        """An ICMP message: a client has gone. It does not matter to anybody."""

    def send(self, message: Response | Batch, address: tuple[Any, ...]) -> None:
        assert self._transport is not None
        data = self._service.encode(message, MAX_DATAGRAM_BYTES)
        if not self._transport.is_closing():
            self._transport.sendto(data, address)


@asynccontextmanager
async def serving(address: Address, service: Service, workers: int = 0) -> AsyncIterator[Address]:
    """Serve at an address until the block ends, as `server.serving` does over TCP."""
    dispatcher = Dispatcher(service, workers)
    try:
        transport, _ = await dispatcher.loop.create_datagram_endpoint(
            lambda: _Socket(dispatcher), local_addr=address.pair
        )
    except OSError as error:
        await dispatcher.close()
        raise cannot_listen(address, error) from error
    try:
        yield Address(*transport.get_extra_info("sockname")[:2])
    finally:
        await dispatcher.close()
        transport.abort()
        await asyncio.sleep(0)
