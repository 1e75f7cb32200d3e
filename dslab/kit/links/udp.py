"""The UDP side of a link: datagrams to the target, and each reply back to the client that it is for.

A client is known by its address. Each has a flow: a socket of its own towards the target, as a home router's
NAT has it, so that a reply's port says whose it is. Flows are few and end when they are idle: the oldest
makes room for a new one. What the kernel's buffers or the link's own cannot take is lost, as in a network.

Source: RFC 4787, Network Address Translation Behavioral Requirements for Unicast UDP.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import MachineError
from dslab.kit.links.fate import Fate
from dslab.kit.links.faults import Cut, Fault, Heading
from dslab.kit.links.link import Link
from dslab.kit.trace.event import Effect, Kind

MAX_DATAGRAM_BYTES = 65_535
MAX_FLOWS = 256
IDLE_S = 60.0
# Datagrams that a delay or a throttle keeps back; what comes on top is lost, as in a full router.
MAX_WAITING_BYTES = 4 * 1024 * 1024
# What is kept of each of these beside its data, at least: an empty datagram takes room too.
BESIDE_BYTES = 256
# How many datagrams one socket may bring in per turn, so that a flood on one leaves room for the others.
PER_TURN = 64
# A burst should be lost by the link's faults, not in its sockets. (The system may allow less.)
BUFFER_BYTES = 1024 * 1024
# How long the address of a named target holds: a container that restarts may get another one.
RESOLVED_S = 1.0

SocketAddress = tuple[Any, ...]


class Flow:
    """One client: its address, and the socket through which the target knows it."""

    def __init__(self, index: int, client: SocketAddress, upstream: Upstream) -> None:
        self.index = index
        self.client = client
        self.upstream = upstream
        self.used_s = 0.0
        self.pieces: Counter[Heading] = Counter()
        self.held: dict[Heading, Datagram] = {}
        self.socket = _udp_socket(upstream.family)


@dataclass(slots=True)
class Datagram:
    """One datagram on its way."""

    flow: Flow
    heading: Heading
    data: bytes
    t_s: float
    release_s: float = 0.0
    copies: int = 1
    notes: list[str] = field(default_factory=list)
    on_record: bool = False


class Upstream:
    """Where one replica of the target listens."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.family = socket.AF_INET
        self.resolved: SocketAddress = ()
        self._resolved_s = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def resolve(self) -> None:
        """Look its address up."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(*self.address.pair, type=socket.SOCK_DGRAM)
        # Nobody answers to tell which of several addresses is right; compose networks are IPv4 by default.
        best = min(found, key=lambda one: one[0] != socket.AF_INET)
        self.family, self.resolved = best[0], best[4]
        self._resolved_s = loop.time()

    def refresh(self, now_s: float) -> None:
        """Look it up again in the background, if it is a name and time has passed."""
        named = self.resolved[0] != self.address.host
        if named and self._resolved_s < now_s - RESOLVED_S and (self._task is None or self._task.done()):
            self._resolved_s = now_s
            self._task = asyncio.get_running_loop().create_task(self._resolve_again())

    async def _resolve_again(self) -> None:
        with contextlib.suppress(OSError):  # its container is down: the old address will do
            await self.resolve()

    def close(self) -> None:
        """Look it up no more."""
        if self._task is not None:
            self._task.cancel()


class UdpProxy:
    """The listening socket of a UDP link and its flows."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._loop = asyncio.get_running_loop()
        self._flows: OrderedDict[SocketAddress, Flow] = OrderedDict()
        self._upstreams = [Upstream(address) for address in link.spec.upstreams]
        self._socket: socket.socket | None = None
        self._waiting: dict[asyncio.TimerHandle, Datagram] = {}
        self._waiting_bytes = 0

    # ---- the sockets

    async def open(self, listen: Address) -> Address:
        """Listen.

        Returns:
            Where, with the real port.
        """
        for upstream in self._upstreams:
            try:
                await upstream.resolve()
            except socket.gaierror as error:
                raise MachineError(f"{upstream.address} cannot be resolved: {error.strerror}.") from error
        found = await self._loop.getaddrinfo(*listen.pair, type=socket.SOCK_DGRAM)
        own = _udp_socket(found[0][0])
        try:
            own.bind(found[0][4])
        except OSError:
            own.close()
            raise
        self._socket = own
        self._loop.add_reader(own, self._receive_from_clients, own)
        return Address(*own.getsockname()[:2])

    async def close(self) -> None:
        """Stop listening and end every flow."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()
        for upstream in self._upstreams:
            upstream.close()
        while self._flows:
            self._end_oldest()

    def _receive_from_clients(self, own: socket.socket) -> None:
        with contextlib.suppress(OSError):  # no more datagrams, or news of an earlier one that was refused
            for _ in range(PER_TURN):
                data, client = own.recvfrom(MAX_DATAGRAM_BYTES)
                self._enter(self._flow(client), "forward", data)

    def _receive_from_target(self, flow: Flow) -> None:
        with contextlib.suppress(OSError):
            for _ in range(PER_TURN):
                data, sender = flow.socket.recvfrom(MAX_DATAGRAM_BYTES)
                if sender[1] == flow.upstream.resolved[1]:
                    self._enter(flow, "backward", data)
                else:  # a client that is connected to the target's port would not get it either
                    stray = Datagram(flow, "backward", data, self.link.tap.now())
                    self._lose(stray, f"from port {sender[1]}")

    # ---- the flows

    def _flow(self, client: SocketAddress) -> Flow:
        now_s = self._loop.time()
        flow = self._flows.get(client) or self._new_flow(client)
        flow.used_s = now_s
        flow.upstream.refresh(now_s)
        self._flows.move_to_end(client)
        while next(iter(self._flows.values())).used_s < now_s - IDLE_S or len(self._flows) > MAX_FLOWS:
            self._end_oldest()
        return flow

    def _new_flow(self, client: SocketAddress) -> Flow:
        index = self.link.connections
        flow = self._flows[client] = Flow(index, client, self._upstreams[index % len(self._upstreams)])
        self._loop.add_reader(flow.socket, self._receive_from_target, flow)
        self.link.connections += 1
        self.link.open_connections = len(self._flows)
        return flow

    def _end_oldest(self) -> None:
        _, flow = self._flows.popitem(last=False)
        self._loop.remove_reader(flow.socket)
        flow.socket.close()
        self.link.open_connections = len(self._flows)

    # ---- what becomes of a datagram

    def _enter(self, flow: Flow, heading: Heading, data: bytes) -> None:
        link, index = self.link, flow.pieces[heading]
        flow.pieces[heading] += 1
        link.bytes[heading] += len(data)
        link.pieces[heading] += 1
        datagram = Datagram(flow, heading, data, link.tap.now())
        if link.conditions[heading].calm and heading not in flow.held:
            self._send(datagram)
        elif silenced_by := self._silenced_by(heading):
            link.injected.update(silenced_by)
            self._lose(datagram)
        else:
            self._meet(datagram, link.decide(heading, flow.index, index, data))

    def _silenced_by(self, heading: Heading) -> tuple[str, ...]:
        silenced_by = self.link.conditions[heading].silenced_by
        cut = self.link.standing_of(Cut)
        return (*silenced_by, Cut.kind) if cut is not None and cut.meet() else silenced_by

    def _meet(self, datagram: Datagram, fate: Fate) -> None:
        if not fate.copies:
            self._lose(datagram)
            return
        datagram.data, datagram.copies, datagram.notes = fate.data, fate.copies, fate.notes
        if fate.delay_s:
            datagram.notes.append(f"{Effect.DELAYED} {fate.delay_s:.3g} s")
        datagram.release_s = self._loop.time() + fate.delay_s
        held = datagram.flow.held
        if fate.hold_s and datagram.heading not in held:
            held[datagram.heading] = datagram
            self._later(self._loop.time() + fate.hold_s, datagram, self._nobody_came)
            return
        self._release(datagram)
        if (overtaken := held.pop(datagram.heading, None)) is not None:
            overtaken.notes.append(Effect.REORDERED)
            # A moment later: timers of equal times go off in any order.
            overtaken.release_s = max(overtaken.release_s, math.nextafter(datagram.release_s, math.inf))
            self.link.injected["reorder"] += 1
            self._release(overtaken)

    def _nobody_came(self, datagram: Datagram) -> None:
        if datagram.flow.held.get(datagram.heading) is datagram:
            del datagram.flow.held[datagram.heading]
            self._release(datagram)

    def _release(self, datagram: Datagram) -> None:
        """Let it leave when its time has come and the wire is through with it."""
        pacer = self.link.conditions[datagram.heading].pacer
        if pacer is None and datagram.release_s <= self._loop.time():
            self._leave(datagram)
        elif self._waiting_bytes + _weight(datagram) > MAX_WAITING_BYTES:
            self._lose(datagram, "queue full")
        else:
            if pacer is not None:
                self.link.injected["throttle"] += 1
                # An empty one takes its moment too, or it and the next could change places.
                size = max(1, len(datagram.data) * datagram.copies)
                datagram.release_s = max(datagram.release_s, pacer.reserve(self._loop.time(), size))
            self._later(datagram.release_s, datagram, self._leave)

    def _later(self, when_s: float, datagram: Datagram, do: Any) -> None:
        self._waiting_bytes += _weight(datagram)

        def due() -> None:
            self._waiting_bytes -= _weight(datagram)
            del self._waiting[timer]
            do(datagram)

        # At that time, even if it has just passed: who was due earlier and still waits goes first.
        timer = self._loop.call_at(when_s, due)
        self._waiting[timer] = datagram

    def _leave(self, datagram: Datagram) -> None:
        """Send it, if there is no silence by now: it may have waited while one began."""
        if silenced_by := self._silenced_by(datagram.heading):
            self.link.injected.update(silenced_by)
            self._lose(datagram)
        else:
            self._send(datagram)

    def _send(self, datagram: Datagram) -> None:
        flow = datagram.flow
        try:
            for copy in range(datagram.copies):
                if datagram.heading == "forward":
                    flow.socket.sendto(datagram.data, flow.upstream.resolved)
                elif self._socket is not None:
                    self._socket.sendto(datagram.data, flow.client)
                self._record(datagram, [Effect.DUPLICATE] if copy else [], self.link.tap.now())
        except OSError as error:  # the buffer is full, or the flow has ended meanwhile
            self._lose(datagram, str(error.strerror))

    def _lose(self, datagram: Datagram, reason: str = "") -> None:
        datagram.notes = [note for note in datagram.notes if note != Effect.LOST]
        self._record(datagram, [f"{Effect.LOST} {reason}".strip()], None)

    def _record(self, datagram: Datagram, more: list[str], arrive_s: float | None) -> None:
        datagram.on_record = True
        self.link.record(
            Kind.DATAGRAM,
            datagram.heading,
            datagram.flow.index,
            datagram.data,
            size=len(datagram.data),
            t_s=datagram.t_s,
            arrive_s=arrive_s,
            note=", ".join([*datagram.notes, *more]),
        )

    def put_on_record(self) -> None:
        """The trace ends: record what still waits for its time."""
        for datagram in self._waiting.values():
            if not datagram.on_record:  # its timer may still run when it was overtaken and has left
                self._record(datagram, ["held"], None)

    # ---- faults

    async def strike(self, fault: Fault) -> None:
        """A fault was applied to the link: datagrams will meet it one by one."""

    async def refresh(self) -> None:
        """Other faults stand than before: the next datagram will see."""


def _weight(datagram: Datagram) -> int:
    """How much of the queue it takes."""
    return len(datagram.data) + BESIDE_BYTES


def _udp_socket(family: int) -> socket.socket:
    own = socket.socket(family, socket.SOCK_DGRAM)
    own.setblocking(False)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    return own
