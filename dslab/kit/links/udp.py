"""The UDP side of a link: datagrams to the target, and each reply back to the client that it is for.

A client is known by its address. Each has a flow: a socket of its own towards the target, as a home router's
NAT has it, so that a reply's port says whose it is. Flows are few and end when they are idle: the oldest
makes room for a new one. What the kernel's buffers cannot take is lost, as in a network; nothing piles up
here.

Source: RFC 4787, Network Address Translation Behavioral Requirements for Unicast UDP.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import OrderedDict
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import MachineError
from dslab.kit.links.link import Link
from dslab.kit.trace.event import Kind

MAX_DATAGRAM_BYTES = 65_535
MAX_FLOWS = 256
IDLE_S = 60.0
# How many datagrams one socket may bring in per turn, so that a flood on one leaves room for the others.
PER_TURN = 64

SocketAddress = tuple[Any, ...]


class Flow:
    """One client: its address, and the socket through which the target knows it."""

    def __init__(self, index: int, client: SocketAddress, upstream: SocketAddress, family: int) -> None:
        self.index = index
        self.client = client
        self.upstream = upstream
        self.used_s = 0.0
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setblocking(False)


class UdpProxy:
    """The listening socket of a UDP link and its flows."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._loop = asyncio.get_running_loop()
        self._flows: OrderedDict[SocketAddress, Flow] = OrderedDict()
        self._upstreams: list[tuple[int, SocketAddress]] = []
        self._socket: socket.socket | None = None

    async def open(self, listen: Address) -> Address:
        """Listen.

        Returns:
            Where, with the real port.
        """
        for upstream in self.link.spec.upstreams:
            self._upstreams.append(await self._resolve(upstream))
        family, address = await self._resolve(listen)
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(address)
        self._loop.add_reader(self._socket, self._receive_from_clients)
        return Address(*self._socket.getsockname()[:2])

    async def close(self) -> None:
        """Stop listening and end every flow."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        while self._flows:
            self._end_oldest()

    async def _resolve(self, address: Address) -> tuple[int, SocketAddress]:
        try:
            found = await self._loop.getaddrinfo(*address.pair, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise MachineError(f"{address} cannot be resolved: {error}.") from error
        return found[0][0], found[0][4]

    def _receive_from_clients(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):  # no more datagrams, or news of an earlier one that was refused
            for _ in range(PER_TURN):
                data, client = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
                self._forward(data, self._flow(client))

    def _receive_from_target(self, flow: Flow) -> None:
        with contextlib.suppress(OSError):
            for _ in range(PER_TURN):
                data, _ = flow.socket.recvfrom(MAX_DATAGRAM_BYTES)
                self._backward(data, flow)

    def _forward(self, data: bytes, flow: Flow) -> None:
        self._count(data, flow, "forward")
        with contextlib.suppress(OSError):
            flow.socket.sendto(data, flow.upstream)

    def _backward(self, data: bytes, flow: Flow) -> None:
        self._count(data, flow, "backward")
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.sendto(data, flow.client)

    def _count(self, data: bytes, flow: Flow, heading: Any) -> None:
        self.link.bytes[heading] += len(data)
        self.link.pieces[heading] += 1
        if self.link.tap.on:
            t_s = self.link.tap.now()
            self.link.record(Kind.DATAGRAM, heading, flow.index, data, size=len(data), t_s=t_s, arrive_s=t_s)

    def _flow(self, client: SocketAddress) -> Flow:
        now_s = self._loop.time()
        flow = self._flows.get(client) or self._new_flow(client)
        flow.used_s = now_s
        self._flows.move_to_end(client)
        while next(iter(self._flows.values())).used_s < now_s - IDLE_S or len(self._flows) > MAX_FLOWS:
            self._end_oldest()
        return flow

    def _new_flow(self, client: SocketAddress) -> Flow:
        index = self.link.connections
        family, upstream = self._upstreams[index % len(self._upstreams)]
        flow = self._flows[client] = Flow(index, client, upstream, family)
        self._loop.add_reader(flow.socket, self._receive_from_target, flow)
        self.link.connections += 1
        self.link.open_connections = len(self._flows)
        return flow

    def _end_oldest(self) -> None:
        _, flow = self._flows.popitem(last=False)
        self._loop.remove_reader(flow.socket)
        flow.socket.close()
        self.link.open_connections = len(self._flows)
