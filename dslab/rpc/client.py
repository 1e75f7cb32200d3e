"""The blocking client.

::

    with connect("127.0.0.1:7000", semantics="at-most-once") as client:
        bank = client.proxy("bank")
        bank.deposit("alice", 100)                      # a remote call that looks like a local one
        client.call("bank.deposit", "alice", 100)       # the same, spelled out
        later = client.begin("bank.balance", "alice")   # deferred synchronous: goes on working ...
        later.result()                                  # ... and fetches the reply when it is needed
        client.notify("bank.log", "good night")         # one-way: nobody waits, nobody hears of it

A client is one thread's. It has no thread of its own: bytes move while it waits for a reply, and only then
(`threaded` has one; `aclient` is for asyncio).

Each error says whether the call was executed (`errors`). Under ``at-least-once`` and ``at-most-once`` a
connection that breaks is made anew, and the calls under way are sent again, until their deadline.

Source: ch. 4, Remote procedure call (basic operation, asynchronous RPC).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from types import TracebackType
from typing import Any, Self, Unpack

from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerError, PeerRefused, PeerSilent, UsageError
from dslab.rpc.codecs import codec_named
from dslab.rpc.connection import Connection, TcpConnection, UdpConnection
from dslab.rpc.errors import closed_here, named
from dslab.rpc.explain import ExplainingCodec
from dslab.rpc.interceptors import Interceptor, Invocation, chain
from dslab.rpc.messages import Batch, Codec, MalformedMessage, Message, Params
from dslab.rpc.protocol import Call, answered
from dslab.rpc.proxy import Proxy, params_of
from dslab.rpc.references import Dial, Imports
from dslab.rpc.settings import Options, Settings, Transport, where

POLL_S = 0.01


def connect(address: Address | str, **options: Unpack[Options]) -> Client:
    """Connect to a server.

    Args:
        address: An `Address`, or ``host:port``.
        options: The attributes of `settings.Settings`; above all ``codec``, ``timeout_s`` and ``semantics``.

    Raises:
        PeerRefused: Nobody listens there.
        PeerSilent: Nobody answered.
    """
    client = Client(where(address), Settings(**options))
    client.open()
    return client


def dial_by(codec: str, transport: Transport = "tcp") -> Dial:
    """Call third parties, to which references point: by a connection for each call."""

    def dial(address: Address) -> Callable[..., Any]:
        def call(method: str, /, *arguments: Any, **named_arguments: Any) -> Any:
            with connect(address, codec=codec, transport=transport) as client:
                return client.call(method, *arguments, **named_arguments)

        return call

    return dial


class Deferred:
    """A call under way: deferred synchronous RPC."""

    __slots__ = ("_call", "_client")

    def __init__(self, client: Client, call: Call) -> None:
        self._client = client
        self._call = call

    def done(self) -> bool:
        """Has the reply come, or the call failed? Looks, and does not wait.

        (But for `POLL_S`, now and then, where a connection has to be made again.)
        """
        return self._call.ended or self._client.poll(self._call)

    def result(self) -> Any:
        """Wait for the reply, until the call's deadline. Raises as `Client.call` does."""
        return self._client.finish(self._call)


class Client:
    """A connection to a server. A context manager.

    Attributes:
        address: The server's.
        timeout_s: How long each call may take. May be set at any time.
        stub: The state machine: for its counters, and for its session's number.
        exceptions: Types in which exceptions come back, by name.
        interceptors: What stands between the caller and the stub, the outermost first.
    """

    def __init__(self, address: Address, settings: Settings) -> None:
        self.address = address
        self.timeout_s = settings.timeout_s
        self.exceptions = named(settings.exceptions)
        self.interceptors: list[Interceptor] = []
        self._settings = settings
        imports = Imports(address, self.call, dial_by(settings.codec, settings.transport))
        self._codec = codec_named(settings.codec.removesuffix("-http"), imports.marshal, imports.unmarshal)
        if settings.explain is not None:
            self._codec = ExplainingCodec(self._codec, "client", settings.explain)
        self.stub = settings.stub(self._codec.freeze)
        self._connection: Connection | None = None
        self._closed = False
        self._next_attempt_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def open(self, wait_s: float | None = None) -> None:
        """Make the connection. It may take ``timeout_s``, unless told otherwise."""
        self._check_open("open")
        wait_s = self.timeout_s if wait_s is None else wait_s
        try:
            self._connection = self._connect(wait_s)
        except PeerError:
            self.stub.connected = False
            raise

    def close(self) -> None:
        """Close the connection. Calls under way are given up, and none begins any more."""
        self._closed = True
        self._give_up()

    def proxy(self, name: str = "") -> Any:
        """Give what looks like the remote object: ``proxy.method(arguments)`` calls it."""
        return Proxy(self.call, name)

    def call(self, method: str, /, *arguments: Any, **named_arguments: Any) -> Any:
        """Call a remote procedure and wait for its result.

        Raises:
            DoesNotTravel: An argument cannot be written. Nothing was sent.
            CallFailed: The server answered with an error.
            PeerSilent: No reply came in time.
            PeerClosed: The connection ended.
            Exception: Whatever the procedure raised, as its own type.
        """
        params = params_of(arguments, named_arguments)
        if self.interceptors:
            return chain(self.interceptors, self._call)(Invocation(method, params))
        return self._exchange(method, params)

    def begin(self, method: str, /, *arguments: Any, **named_arguments: Any) -> Deferred:
        """Send a request and do not wait: the caller fetches the reply when it likes."""
        params = params_of(arguments, named_arguments)
        if self.interceptors:
            begun = chain(self.interceptors, self._defer)(Invocation(method, params))
            return begun if isinstance(begun, Deferred) else Deferred(self, answered(begun))
        return Deferred(self, self._begin(method, params))

    def notify(self, method: str, /, *arguments: Any, **named_arguments: Any) -> None:
        """Call one-way: there will be no reply, not even an error.

        Raises:
            PeerError: There is no connection, nor can one be made; or it ended while this was sent.
        """
        chain(self.interceptors, self._notify)(Invocation(method, params_of(arguments, named_arguments)))

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Send what is begun within the block as one message (JSON-RPC's batch), or in one write.

        If the block raises, nothing of it is sent.
        """
        self.stub.hold()
        try:
            yield self
            self._check_open("this batch")
            if self._connection is None and self.stub.semantics == "maybe":  # it has ended in the block
                self._open_again(self.timeout_s)
            if self.stub.outgoing:
                now_s = time.monotonic()
                left_s = max(self.stub.left_s(each, now_s) for each in self.stub.outgoing)
                self._write(self._codec.encode(Batch([*self.stub.outgoing])), min(self.timeout_s, left_s))
        except BaseException:
            self.stub.withdraw(time.monotonic())
            self._flush()
            raise
        self.stub.release()

    def finish(self, call: Call) -> Any:
        """Wait until a call has ended: gives its result, or raises what came in its place."""
        while not call.ended:
            self._pump(self.stub.wakeup_s - time.monotonic())
        return call.result(self.exceptions)

    def poll(self, call: Call) -> bool:
        """Take what has come, without waiting."""
        while not call.ended and self._pump(0.0):
            pass
        return call.ended

    # ---- inside

    def _call(self, invocation: Invocation) -> Any:
        return self._exchange(invocation.method, invocation.params)

    def _notify(self, invocation: Invocation) -> None:
        self._check_open(invocation.method)
        now_s = time.monotonic()
        while self._connection is not None and self._pump(0.0):
            pass  # it may have ended long ago, and a write would not tell
        if self._connection is None:
            self._open_again(self.timeout_s)
        self.stub.notify(invocation.method, invocation.params, now_s, self.timeout_s)
        self._flush()
        if self._connection is None:
            raise PeerClosed(f"{invocation.method}: the connection ended while it was sent.")

    def _defer(self, invocation: Invocation) -> Deferred:
        return Deferred(self, self._begin(invocation.method, invocation.params))

    def _exchange(self, method: str, params: Params) -> Any:
        """Call and wait. The first wait is as long for every call, so that the kernel is told only once.

        That is, unless it took long already to send the request, or to connect again.
        """
        call = self._begin(method, params)
        if not call.ended and time.monotonic() < call.deadline_s - call.timeout_s + POLL_S:
            # Else it will be sent again; or rpc.hello, for whose answer it has to wait.
            once = call.transmissions and call.retry_at_s == inf
            self._pump(call.timeout_s if once else min(call.timeout_s, self.stub.retry_s))
        return self.finish(call)

    def _begin(self, method: str, params: Params) -> Call:
        self._check_open(method)
        now_s = time.monotonic()
        if self._connection is None and self.stub.semantics == "maybe":  # else `_pump` will see to it
            self._open_again(self.timeout_s)
        call = self.stub.begin(method, params, now_s, self.timeout_s)
        self._flush()
        if call.error is not None and isinstance(call.error, UsageError):
            raise call.error
        return call

    def _connect(self, wait_s: float) -> Connection:
        kind: Callable[[Address, Settings, Codec, float], Connection] = TcpConnection
        if self._settings.codec == "json-http":
            from dslab.rpc.connection_http import HttpConnection  # who does not need it does not load HTTP

            kind = HttpConnection
        elif self._settings.transport == "udp":
            kind = UdpConnection
        return kind(self.address, self._settings, self._codec, wait_s)

    def _open_again(self, wait_s: float) -> None:
        self.open(wait_s)
        self.stub.connection_made(time.monotonic())

    def _flush(self, *, late: bool = False) -> None:
        """Send what the stub wants to be sent. What cannot be sent has ended its own call, not another.

        Args:
            late: Of these calls, some began a while ago: nothing is to take longer than they still have.
        """
        for message in self.stub.take_outgoing():
            left_s = self.stub.left_s(message, time.monotonic()) if late else inf
            if left_s <= 0:
                continue  # its caller has given up meanwhile
            try:
                self._write(self._codec.encode(message), min(self.timeout_s, left_s))
            except UsageError as error:
                self.stub.refuse(message, error, time.monotonic())

    def _write(self, data: bytes, wait_s: float) -> None:
        if self._connection is None:
            return  # sent again with the next connection
        try:
            self._connection.send(data, wait_s)
        except OSError as error:
            self.stub.release()  # of a batch, a part may have gone out: it is not to be sent anew
            with suppress(OSError, MalformedMessage):  # what came before it ended
                while (messages := self._connection.receive(0.0)) is not None:
                    self._take(messages)
            self._lose(error)
        except UsageError:
            raise
        except BaseException:  # a part may have gone out: what comes next would be taken for the rest
            self.stub.release()
            self._give_up()
            raise

    def _pump(self, wait_s: float) -> bool:
        """Receive once, and do what is due: False if nothing came."""
        messages = None
        stub = self.stub
        if self._connection is None:
            self._reconnect(wait_s)
            now_s = time.monotonic()
        else:
            try:
                messages = self._connection.receive(wait_s)
                now_s = self._take(messages or ())
            except (OSError, MalformedMessage) as error:
                now_s = time.monotonic()
                self._take_end(error)
            except BaseException:  # of what had come, a part may be lost: what comes next would not fit
                self._lose(InterruptedError(errno.EINTR, "this program was interrupted"))
                raise
        if now_s >= stub.wakeup_s:
            stub.tick(now_s)
        if stub.outgoing:
            self._flush(late=True)
        return messages is not None

    def _take(self, messages: Sequence[Message]) -> float:
        """Take what has come: gives the time when it did."""
        now_s = time.monotonic()
        for message in messages:
            if type(message) is Batch:
                for part in message.messages:
                    self.stub.receive(part, now_s)
            else:
                self.stub.receive(message, now_s)
        return now_s

    def _take_end(self, error: OSError | MalformedMessage) -> None:
        """There is no more to be received."""
        if isinstance(error, OSError):
            self._lose(error)
            return
        self._drop()
        self.stub.connection_lost(str(error), time.monotonic(), final=True, kind=type(error))

    def _reconnect(self, wait_s: float) -> None:
        """Try to connect again, not more often than every ``retry_s``; until then wait."""
        now_s = time.monotonic()
        if now_s < self._next_attempt_s:
            time.sleep(max(0.0, min(wait_s, self._next_attempt_s - now_s)))
            return
        self._next_attempt_s = now_s + self.stub.retry_s
        with suppress(PeerRefused, PeerSilent):
            self._open_again(min(max(wait_s, POLL_S), self.timeout_s))

    def _lose(self, error: OSError) -> None:
        """The connection has ended."""
        self._drop()
        reason = f"the connection to {self.address} ended: {error.strerror or error}."
        self.stub.connection_lost(reason, time.monotonic())

    def _check_open(self, what: str) -> None:
        if self._closed:
            raise closed_here(what)

    def _give_up(self) -> None:
        """End the connection, and with it every call under way."""
        self._drop()
        self.stub.connection_lost("the client closed its connection.", time.monotonic(), final=True)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
