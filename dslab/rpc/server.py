"""The server on asyncio: one thread for all connections, or a dispatcher in front of a pool of workers.

The requests that one ``recv`` brings are executed in the loop, one after the other, and their replies go out
in one write. A coroutine function runs as a task: while it waits, others are served, on the same connection
too. With ``workers`` the loop is the dispatcher: it reads, decides, and hands each call to a pool of threads,
so that a slow procedure holds up nobody but its caller.

What no client may do to the server:

- Make it grow: a message has a longest length; a client that does not read its replies, or has too many
  calls under way, is not read from.
- End it, or hold up the others: malformed bytes end their own connection.
- Take back what it asked: a call whose client has gone is executed to its end. Nobody is told.

A client that half-closes still gets every reply.

Source: ch. 3, Threads in distributed systems (dispatcher/worker), Servers; ch. 4, Remote procedure call.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import MachineError
from dslab.rpc.inbox import Inbox
from dslab.rpc.messages import Batch, Message, Notification, Request, Response
from dslab.rpc.objects import finished
from dslab.rpc.service import BatchReply, Running, Sender, Service, complain

BACKLOG = 1024
HIGH_WATER_BYTES = 256 * 1024
STOPS = (signal.SIGTERM, signal.SIGINT)


class Server:
    """Serves one service to every connection.

    Args:
        service: What is served.
        workers: Threads that execute the calls; 0: the loop does.
    """

    def __init__(self, service: Service, workers: int = 0) -> None:
        self.service = service
        self.loop = asyncio.get_running_loop()
        self.connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.pool: Executor | None = ThreadPoolExecutor(workers, "worker") if workers else None

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside everything else."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Hang up on everybody. Calls that threads execute are waited for."""
        for connection in list(self.connections):
            connection.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.pool is not None:
            await self.loop.run_in_executor(None, self.pool.shutdown)
        await asyncio.sleep(0)  # connections end in the loop's next round


class _Connection(asyncio.BufferedProtocol):
    """One client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._service = server.service
        self._inbox = Inbox(self._service.codec, self._service.limits.max_message_bytes)
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._unserved: deque[Message] = deque()
        self._in_flight = 0
        self._full = False  # its replies do not get through
        self._ending = False  # it has said all
        self._flushes = False

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self._server.connections) >= self._service.limits.max_connections:
            complain(self._name(), "too many clients")
            transport.abort()
        self._server.connections.add(self)

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
        self._server.connections.discard(self)
        self._unserved.clear()
        self._service.objects.forget(self)

    def pause_writing(self) -> None:
        self._full = True
        self._hold()

    def resume_writing(self) -> None:
        self._full = False
        self._go_on()

    # ---- what the service calls

    def send(self, response: Response) -> None:
        """Send a reply with the next write."""
        self._put(self._service.encode(response))

    def drop(self) -> None:
        """End the connection at once."""
        assert self._transport is not None
        self._transport.abort()

    # ---- inside

    def _serve(self, messages: list[Message]) -> None:
        """Serve messages, as far as there is room; the others wait."""
        if self._unserved:
            self._unserved.extend(messages)
            return
        self._flushes = True  # in a moment, below
        now_s = self._server.loop.time()
        for place, message in enumerate(messages):
            if self._full or self._in_flight >= self._service.limits.max_in_flight:
                self._unserved.extend(messages[place:])
                self._hold()
                break
            self._take(self, message, now_s)
        self._flush()

    def _take(self, sender: Sender, message: Message, now_s: float) -> None:
        if type(message) is Batch:
            self._take_batch(message, now_s)
            return
        order = self._service.receive(sender, message)
        if type(order) is Request:
            self._execute(sender, order, now_s)
        elif type(order) is Response:
            sender.send(order)
        elif type(order) is Notification:
            self._notice(order)

    def _take_batch(self, batch: Batch, now_s: float) -> None:
        expected = sum(
            type(part) is not Notification and type(part) is not Response for part in batch.messages
        )
        reply = BatchReply(expected, lambda responses: self._put(self._service.encode(Batch([*responses]))))
        for part in batch.messages:
            self._take(reply, part, now_s)

    def _execute(self, sender: Sender, request: Request, now_s: float) -> None:
        if self._server.pool is not None:
            self._in_flight += 1
            self._server.start(self._execute_in_pool(sender, request, now_s))
            return
        outcome = self._service.execute(self, request, self._server.loop.time() - now_s)
        if type(outcome) is Response:
            self._finish(sender, request, outcome)
        else:
            self._in_flight += 1
            self._server.start(self._await(sender, request, outcome))

    def _notice(self, notification: Notification) -> None:
        if self._server.pool is not None:
            self._server.start(self._notice_in_pool(notification))
        elif (running := self._service.notice(self, notification)) is not None:
            self._server.start(logged(notification, running))

    async def _execute_in_pool(self, sender: Sender, request: Request, now_s: float) -> None:
        """Let a worker execute it (dispatcher/worker). Its deadline may pass while it waits for one."""
        loop = self._server.loop

        def work() -> Response | Running:
            return self._service.execute(self, request, loop.time() - now_s)

        outcome = await loop.run_in_executor(self._server.pool, work)
        await self._await(sender, request, outcome)

    async def _notice_in_pool(self, notification: Notification) -> None:
        call = partial(self._service.notice, self, notification)
        running = await self._server.loop.run_in_executor(self._server.pool, call)
        if running is not None:
            await logged(notification, running)

    async def _await(self, sender: Sender, request: Request, outcome: Response | Running) -> None:
        response = outcome if isinstance(outcome, Response) else await finished(request, outcome)
        self._in_flight -= 1
        self._finish(sender, request, response)
        self._go_on()

    def _finish(self, sender: Sender, request: Request, response: Response) -> None:
        for who, reply in self._service.finish(sender, request, response):
            who.send(reply)

    def _put(self, data: bytes) -> None:
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes > HIGH_WATER_BYTES:
            self._flush()
        elif not self._flushes:
            self._flushes = True
            self._server.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write everything that is to be said, in one piece."""
        self._flushes = False
        if not self._unsent:
            return
        assert self._transport is not None
        data = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
        self._unsent, self._unsent_bytes = [], 0
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
            messages, self._unserved = list(self._unserved), deque()
            self._serve(messages)
        if self._unserved or self._full or self._transport.is_closing():
            return
        if self._ending and not self._in_flight:
            self._flush()
            self._transport.close()
        elif not self._ending and self._inbox.failure is None:
            self._transport.resume_reading()

    def _refuse(self) -> None:
        """End a connection in whose bytes no message can be found any more, after the last reply."""
        complain(self._name(), str(self._inbox.failure))
        self._ending = True
        self._hold()
        self._go_on()

    def _name(self) -> str:
        assert self._transport is not None
        peer = self._transport.get_extra_info("peername")
        return str(Address(*peer[:2])) if peer else "a client that has left"


async def logged(notification: Notification, running: Running) -> None:
    """Await a one-way call."""
    try:
        await running
    except Exception as error:  # noqa: BLE001  nobody else would be told
        complain(f"one-way {notification.method}", error)


@asynccontextmanager
async def serving(address: Address, service: Service, workers: int = 0) -> AsyncIterator[Address]:
    """Serve at an address (port 0 takes any free one) until the block ends: gives the real address.

    Raises:
        MachineError: The address is not to be had.
    """
    server = Server(service, workers)
    try:
        listener = await server.loop.create_server(
            lambda: _Connection(server), *address.pair, backlog=BACKLOG
        )
    except OSError as error:
        await server.close()
        raise cannot_listen(address, error) from error
    try:
        yield Address(*listener.sockets[0].getsockname()[:2])
    finally:
        listener.close()
        await server.close()


def cannot_listen(address: Address, error: OSError) -> MachineError:
    """Say why a socket could not be bound."""
    remedy = "Take another port, or port 0 for any free one."
    return MachineError(f"Cannot listen on {address}: {error.strerror}.", remedy=remedy)


async def serve(address: Address, service: Service, workers: int = 0) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    stopped = asyncio.Event()
    for stop in STOPS:
        asyncio.get_running_loop().add_signal_handler(stop, stopped.set)
    async with serving(address, service, workers) as bound:
        print(f"listening on {bound}", flush=True)  # noqa: T201
        await stopped.wait()
