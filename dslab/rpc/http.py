"""The server over HTTP: a message, or a batch, is the body of a POST; the reply is the body of its response.

So anything that speaks HTTP can call: a browser, curl, a client in any language. The path does not matter.
A body of nothing but one-way calls is answered with 204 and no body; another method than POST with 405; a
body that is too long with 413. What is wrong with the call itself is said by JSON-RPC, under 200.

A connection carries one exchange after the other (keep-alive): HTTP/1.1 has no ids, so replies are in the
order of requests, and a slow call holds up those behind it on its connection: they are not even read.

What HTTP is made of is not read here but by h11, a state machine without I/O like our own.

Source: ch. 4, Layered protocols; RFC 9110, RFC 9112.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import h11

from dslab.kit.address import Address
from dslab.rpc.dispatch import Dispatcher
from dslab.rpc.messages import Batch, Response
from dslab.rpc.server import BACKLOG, cannot_listen, hang_up, name_of
from dslab.rpc.service import Service, complain

MAX_HEAD_BYTES = 64 * 1024


class _Connection(asyncio.Protocol):
    """One client: one exchange at a time."""

    def __init__(self, dispatcher: Dispatcher, connections: set[_Connection]) -> None:
        self._dispatcher = dispatcher
        self._service = dispatcher.service
        self._connections = connections
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._body = bytearray()
        self._in_flight = 0
        self._full = False  # its replies do not get through
        self._gone = False
        self._transport: asyncio.Transport | None = None
        connections.add(self)

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one, without saying so
        self._transport = transport
        if len(self._connections) > self._service.limits.max_connections:
            complain(name_of(transport), "too many clients")
            transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._http.receive_data(data)
        self._go_on()

    def eof_received(self) -> bool:
        self._http.receive_data(b"")
        self._go_on()
        return self._http.our_state is h11.SEND_RESPONSE  # a reply is still owed

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._gone = True
        self._forget()

    def pause_writing(self) -> None:
        self._full = True
        self._read(more=False)

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    # ---- what the dispatcher calls

    @property
    def peer(self) -> _Connection:
        return self

    @property
    def most_bytes(self) -> int:
        return self._service.limits.max_message_bytes

    def send(self, message: Response | Batch) -> None:
        self._respond(200, self._service.encode(message, self.most_bytes))

    def skip(self) -> None:
        """Answer what has no reply."""
        self._respond(204, b"")

    def began(self) -> None:
        self._in_flight += 1  # one exchange at most; but the one-way calls of earlier ones may go on

    def ended(self) -> None:
        self._in_flight -= 1
        self._forget()
        if self._in_flight == self._service.limits.max_in_flight - 1:
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

    def _go_on(self) -> None:
        """Take what h11 makes of the bytes, to the end of a request; read more only if it lacks some."""
        assert self._transport is not None
        event: Any = None
        try:
            while event is not h11.NEED_DATA and event is not h11.PAUSED and not self._is_busy():
                event = self._http.next_event()
                if not self._take(event):
                    return
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))
        self._read(more=event is h11.NEED_DATA)
        if self._http.their_state is h11.MUST_CLOSE and self._http.our_state is not h11.SEND_RESPONSE:
            self._close()

    def _is_busy(self) -> bool:
        assert self._transport is not None
        too_many = self._in_flight >= self._service.limits.max_in_flight
        return self._full or too_many or self._transport.is_closing()

    def _read(self, *, more: bool) -> None:
        assert self._transport is not None
        if self._transport.is_closing() or self._transport.is_reading() == more:
            return
        if more:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _take(self, event: Any) -> bool:
        """Take one event: False where there is nothing more to be read now."""
        match event:
            case h11.Request(method=method, headers=headers):
                if method != b"POST":
                    self._refuse(405, "only POST is answered")
                    return False
                if self._http.they_are_waiting_for_100_continue:
                    if int(dict(headers).get(b"content-length", 0)) > self.most_bytes:
                        self._refuse(413, "the body is too long")
                        return False
                    self._inform(100)
            case h11.Data(data=data):
                self._body += data
                if len(self._body) > self._service.limits.max_message_bytes:
                    self._refuse(413, "the body is too long")
                    return False
            case h11.EndOfMessage():
                body, self._body = bytes(self._body), bytearray()
                self._dispatcher.take(self, self._service.codec.decode(body), self._dispatcher.loop.time())
            case h11.ConnectionClosed():
                if self._http.our_state is not h11.SEND_RESPONSE:  # else when it has been sent
                    self._close()
                return False
        return True

    def _respond(self, status: int, body: bytes) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        head = self._http.send(h11.Response(status_code=status, headers=headers if body else []))
        parts = [
            head,
            self._http.send(h11.Data(data=body)) if body else b"",
            self._http.send(h11.EndOfMessage()),
        ]
        self._transport.write(b"".join(part for part in parts if part))
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._dispatcher.loop.call_soon(self._go_on)  # the next request may be here already
        elif self._http.our_state is h11.MUST_CLOSE:
            self._close()

    def _inform(self, status: int) -> None:
        """Say something before the response."""
        assert self._transport is not None
        head = self._http.send(h11.InformationalResponse(status_code=status, headers=[]))
        self._transport.write(head or b"")

    def _refuse(self, status: int, why: str) -> None:
        """Answer a request that is none, and hang up."""
        assert self._transport is not None
        complain(name_of(self._transport), why)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [("connection", "close"), ("content-length", "0"), ("allow", "POST")]
            head = self._http.send(h11.Response(status_code=status, headers=headers))
            self._transport.write(head or b"")
        self._close()

    def _close(self) -> None:
        assert self._transport is not None
        self._transport.close()


@asynccontextmanager
async def serving(address: Address, service: Service, workers: int = 0) -> AsyncIterator[Address]:
    """Serve at an address until the block ends, as `server.serving` does over bare TCP."""
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
