"""The asyncio client: many calls under way on one connection, answered in any order.

::

    async with await connect("127.0.0.1:7000") as client:
        bank = client.proxy("bank")
        await bank.deposit("alice", 100)
        both = await asyncio.gather(bank.balance("alice"), bank.balance("bob"))   # one round trip for both
        later = client.begin("bank.balance", "alice")           # a future: asynchronous RPC ...
        later.add_done_callback(lambda reply: print(reply.result()))              # ... with a callback

What is sent in one round of the event loop goes out in one write, and what comes is decoded where it was
received: that, and ids that pair replies with futures, is why a hundred calls at once cost little more than
one. There is one timer for all deadlines.

A call that is cancelled is given up: its reply will be ignored. It may still be executed.

While the server does not read, requests wait in the stub, until it does or until their deadline.

Source: ch. 4, Remote procedure call (asynchronous RPC).
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import Future, ensure_future
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from inspect import isawaitable, iscoroutinefunction
from math import inf
from types import TracebackType
from typing import Any, Self, Unpack

from dslab.kit.address import Address
from dslab.kit.errors import PeerError, PeerRefused, UsageError
from dslab.rpc.codecs import codec_named
from dslab.rpc.connection import refusal
from dslab.rpc.errors import DoesNotTravel, closed_here, named
from dslab.rpc.explain import ExplainingCodec
from dslab.rpc.inbox import Inbox
from dslab.rpc.interceptors import Interceptor, Invocation, chain
from dslab.rpc.messages import Batch, MalformedMessage, Message, Params
from dslab.rpc.protocol import Call
from dslab.rpc.proxy import Proxy, params_of
from dslab.rpc.references import Dial, Imports
from dslab.rpc.settings import Options, Settings, where

CLOSED = "the client closed its connection."


async def connect(address: Address | str, **options: Unpack[Options]) -> AsyncClient:
    """Connect to a server over TCP. Arguments and errors are those of `client.connect`."""
    client = AsyncClient(where(address), Settings(**options))
    await client.open()
    return client


def dial_by(codec: str) -> Dial:
    """Call third parties, to which references point: by a connection for each call, to be awaited."""

    def dial(address: Address) -> Callable[..., Any]:
        async def call(method: str, /, *arguments: Any, **named_arguments: Any) -> Any:
            async with await connect(address, codec=codec) as client:
                return await client.call(method, *arguments, **named_arguments)

        return call

    return dial


class AsyncClient:
    """A connection to a server. An asynchronous context manager.

    Attributes:
        address: The server's.
        timeout_s: How long each call may take. May be set at any time.
        stub: The state machine: for its counters, and for its session's number.
        interceptors: What stands between the caller and the stub, the outermost first.
        loop: The event loop that it belongs to.
    """

    def __init__(self, address: Address, settings: Settings, imports: Imports | None = None) -> None:
        if settings.transport != "tcp" or settings.codec == "json-http":
            raise UsageError("The asyncio client calls over TCP.")
        self.address = address
        self.timeout_s = settings.timeout_s
        self.exceptions = named(settings.exceptions)
        imports = imports or Imports(address, self.call, dial_by(settings.codec))
        self.codec = codec_named(settings.codec, imports.marshal, imports.unmarshal)
        if settings.explain is not None:
            self.codec = ExplainingCodec(self.codec, "client", settings.explain)
        self.stub = settings.stub(self.codec.freeze)
        self.interceptors: list[Interceptor] = []
        self.settings = settings
        self.loop = asyncio.get_running_loop()
        self._wire: _Wire | None = None
        self._unsent = bytearray()
        self._flushes = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = inf
        self._reconnecting: asyncio.Task[None] | None = None
        self._next_attempt_s = 0.0
        self._sending: set[Future[Any]] = set()  # one-way calls that an interceptor still delays
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Make the connection."""
        try:
            async with asyncio.timeout(self.timeout_s):
                _, wire = await self.loop.create_connection(lambda: _Wire(self), *self.address.pair)
        except (OSError, UnicodeError) as error:
            self.stub.connected = False
            raise refusal(self.address, self.timeout_s, error) from error
        if wire.lost.done():  # before we were told that it had been made
            raise PeerRefused(f"{self.address} closed the connection at once.")
        self._wire = wire

    async def close(self) -> None:
        """Send what is to be sent, and close the connection. Calls under way are given up.

        One-way calls that an interceptor delays, or that wait for the server to take more, are sent, too.
        That takes ``timeout_s`` at most: then what the server has not taken is not sent any more.
        """
        ends_s = self.loop.time() + self.timeout_s
        try:
            if self._sending:
                await asyncio.wait(self._sending, timeout=self.timeout_s)
        finally:  # also if this is cancelled
            self._begin_to_close()
        if self._reconnecting is not None:
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        if self._wire is not None:
            await self._wire.end(ends_s - self.loop.time())

    def proxy(self, name: str = "") -> Any:
        """Give what looks like the remote object: ``await proxy.method(arguments)`` calls it."""
        return Proxy(self.call, name)

    async def call(self, method: str, /, *arguments: Any, **named_arguments: Any) -> Any:
        """Call a remote procedure. Raises as `client.Client.call` does."""
        params = params_of(arguments, named_arguments)
        if self.interceptors:
            return await self._start(method, params)
        future = self.loop.create_future()  # nobody else has it, and it is awaited quicker than a `_Reply`
        call = self._put_call(method, params, future)
        try:
            return await future
        except asyncio.CancelledError:
            self.give_up(call)
            raise

    def begin(self, method: str, /, *arguments: Any, **named_arguments: Any) -> Future[Any]:
        """Send a request: gives what ends with its reply. Cancelling it gives the call up.

        Raises:
            DoesNotTravel: An argument cannot be written. Nothing was sent.
            PeerClosed: This client is closed. Nothing was sent.
        """
        return self._start(method, params_of(arguments, named_arguments))

    def send(self, method: str, params: Params) -> Future[Any]:
        """Send a request past the interceptors, as `begin` does. The parameters may be marshalled already."""
        future = _Reply(loop=self.loop)
        future.client, future.call = self, self._put_call(method, params, future)
        return future

    def notify(self, method: str, /, *arguments: Any, **named_arguments: Any) -> None:
        """Call one-way: there will be no reply, not even an error.

        Without a connection it waits for one, as long as a call would; then it is lost.
        """
        sent = chain(self.interceptors, self.notify_now)(
            Invocation(method, params_of(arguments, named_arguments))
        )
        if isawaitable(sent):  # by a coroutine function
            sending = ensure_future(sent)
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    def notify_now(self, invocation: Invocation) -> None:
        """Call one-way past the interceptors."""
        if self._closed:
            raise closed_here(invocation.method)
        self.stub.notify(invocation.method, invocation.params, self.loop.time(), self.timeout_s)
        self._put_outgoing()
        if self._wire is None:
            self._reconnect()

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Send what is begun within the block as one message (JSON-RPC's batch), or in one write.

        If the block raises, nothing of it is sent.

        Raises:
            UsageError: An interceptor is a coroutine function: the calls would begin only after the block.
        """
        if any(iscoroutinefunction(each) for each in self.interceptors):
            raise UsageError("An interceptor that is a coroutine function lets nothing begin within a batch.")
        self.stub.hold()
        try:
            yield self
            if self.stub.outgoing:
                self._put(Batch([*self.stub.outgoing]))
        except BaseException:
            self._settle(self.stub.withdraw(self.loop.time()))
            self._put_outgoing()
            raise
        self.stub.release()

    def give_up(self, call: Call) -> None:
        """Forget a call that nobody waits for any more. There may be room for another now."""
        self.stub.give_up(call, self.loop.time())
        self._put_outgoing()

    # ---- what the connection calls

    def take(self, messages: list[Message]) -> None:
        """Take what has come."""
        now_s = self.loop.time()
        for message in messages:
            if type(message) is Batch:
                self.take(message.messages)
                continue
            call = self.stub.receive(message, now_s)
            if call is not None:
                self._end(call)
        if self.stub.outgoing:
            self._put_outgoing()

    def lose(self, reason: str, error: PeerError | None) -> None:
        """Take the end of the connection."""
        self._wire = None
        self._unsent.clear()
        now_s = self.loop.time()
        if self._closed:
            reason = CLOSED
        if error is not None:
            ended = self.stub.connection_lost(str(error), now_s, final=True, kind=type(error))
        else:
            ended = self.stub.connection_lost(reason, now_s, final=self._closed)
        self._settle(ended)
        if len(self.stub) and not self._closed:
            self._reconnect()

    def pause(self) -> None:
        """The server takes no more for now."""
        self.stub.full = True

    def resume(self) -> None:
        """It takes more again."""
        if self._closed:
            return
        self.stub.take_room(self.loop.time())
        self._put_outgoing()
        self._set_timer()

    # ---- inside

    def _begin_to_close(self) -> None:
        """Begin nothing any more, and write what is to be sent: calls end with the connection."""
        for late in self._sending:
            late.cancel()
        self._closed = True
        self.stub.send_one_way(self.loop.time())
        self._put_outgoing()
        if self._timer is not None:
            self._timer.cancel()
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        if self._wire is not None:
            self._flush()
            self._wire.transport.close()
        else:
            self._settle(self.stub.connection_lost(CLOSED, self.loop.time(), final=True))

    def _start(self, method: str, params: Params) -> Future[Any]:
        if self.interceptors:
            begun = chain(self.interceptors, self._begin)(Invocation(method, params))
            return ensure_future(begun if isawaitable(begun) else self._answered(begun))
        return self.send(method, params)

    def _put_call(self, method: str, params: Params, waiter: Future[Any]) -> Call:
        if self._closed:
            raise closed_here(method)
        call = self.stub.begin(method, params, self.loop.time(), self.timeout_s)
        call.waiter = waiter
        try:
            self._put_outgoing()
        except DoesNotTravel:
            self.stub.give_up(call, self.loop.time())
            raise
        if self._wire is None:
            self._reconnect()
        return call

    def _begin(self, invocation: Invocation) -> Future[Any]:
        return self.send(invocation.method, invocation.params)

    def _answered(self, result: Any) -> Future[Any]:
        future = self.loop.create_future()
        future.set_result(result)
        return future

    def _end(self, call: Call) -> None:
        """Give the caller what came of his call."""
        future = call.waiter
        if future is None or future.done():
            return
        try:
            future.set_result(call.result(self.exceptions))
        except Exception as error:  # noqa: BLE001  it is the caller's
            future.set_exception(error)

    def _settle(self, calls: list[Call]) -> None:
        for call in calls:
            self._end(call)

    def _put_outgoing(self) -> None:
        for message in self.stub.take_outgoing():
            self._put(message)
        if self.stub.wakeup_s < self._timer_s:
            self._set_timer()

    def _put(self, message: Message) -> None:
        self.codec.write(message, self._unsent)
        if not self._flushes:
            self._flushes = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write everything that is to be sent, in one piece."""
        self._flushes = False
        data, self._unsent = self._unsent, bytearray()  # the transport may keep it for a while
        if data and self._wire is not None:
            self._wire.transport.write(data)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = self.stub.wakeup_s
        self._timer = self.loop.call_at(self._timer_s, self._tick) if self._timer_s < inf else None

    def _tick(self) -> None:
        self._timer, self._timer_s = None, inf
        self._settle(self.stub.tick(self.loop.time()))
        self._put_outgoing()
        self._set_timer()

    def _reconnect(self) -> None:
        if self._reconnecting is None and not self._closed:
            self._reconnecting = self.loop.create_task(self._keep_connecting())

    async def _keep_connecting(self) -> None:
        """Connect again, for as long as somebody waits for it, not more often than every ``retry_s``."""
        while self._wire is None and len(self.stub):
            now_s = self.loop.time()
            if now_s < self._next_attempt_s:
                await asyncio.sleep(self._next_attempt_s - now_s)
                continue
            self._next_attempt_s = now_s + self.settings.retry_s
            with suppress(PeerError, OSError):
                await self.open()
        self._reconnecting = None
        if self._wire is not None:
            self.stub.connection_made(self.loop.time())
            self._put_outgoing()
            self._set_timer()


class _Reply(Future[Any]):
    """What ends with the reply to a call; cancelled, by whomever, it gives the call up."""

    __slots__ = ("call", "client")

    client: AsyncClient
    call: Call

    def cancel(self, msg: Any = None) -> bool:
        """Cancel it, if it has not ended."""
        cancelled = super().cancel(msg)
        if cancelled:
            self.client.give_up(self.call)
        return cancelled


class _Wire(asyncio.BufferedProtocol):
    """One connection of a client, which may have several in its life."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._inbox = Inbox(client.codec, client.settings.max_message_bytes)
        self.transport: Any = None
        self.lost: Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def end(self, wait_s: float) -> None:
        """Wait until a transport that closes has sent everything, so long at most; then end it."""
        await asyncio.wait([self.lost], timeout=wait_s)
        if not self.lost.done():  # a transport that was closed with much unsent cannot be aborted afterwards
            self.transport.abort()
        await self.lost

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        messages = self._inbox.received(nbytes)
        if messages:
            try:
                self._client.take(messages)
            except MalformedMessage as error:
                self._inbox.failure = error
        if self._inbox.failure is not None:
            self.transport.abort()

    def pause_writing(self) -> None:
        self._client.pause()

    def resume_writing(self) -> None:
        self._client.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        how = f"broke: {exc}" if exc else "was closed by the server"
        self._client.lose(f"the connection to {self._client.address} {how}.", self._inbox.failure)
        self.lost.set_result(None)
