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
(`threaded` has one; `aclient` is for asyncio). It waits in the kernel, which is told once how long.

Each error says whether the call was executed (`errors`). Under ``at-least-once`` and ``at-most-once`` a
connection that breaks is made anew, and the calls under way are sent again, until their deadline.

Source: ch. 4, Remote procedure call (basic operation, asynchronous RPC).
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import Any, Self, Unpack

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerError, PeerRefused, PeerSilent, UsageError
from dslab.rpc.codecs import codec_named
from dslab.rpc.errors import named
from dslab.rpc.inbox import Inbox
from dslab.rpc.messages import (
    MAX_DATAGRAM_BYTES,
    Batch,
    MalformedMessage,
    Message,
    Params,
)
from dslab.rpc.protocol import Call
from dslab.rpc.proxy import Proxy, params_of
from dslab.rpc.settings import Options, Settings, Transport, where

NOBODY_THERE = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH}
MIN_WAIT_S = 0.001


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


class Deferred:
    """A call under way: deferred synchronous RPC."""

    def __init__(self, client: Client, call: Call) -> None:
        self._client = client
        self._call = call

    def done(self) -> bool:
        """Has the reply come, or the call failed? Looks, and does not wait."""
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
    """

    def __init__(self, address: Address, settings: Settings) -> None:
        self.address = address
        self.timeout_s = settings.timeout_s
        self.stub = settings.stub()
        self.exceptions = named(settings.exceptions)
        self._codec = codec_named(settings.codec)
        self._transport = settings.transport
        self._most_bytes = settings.max_message_bytes
        self._socket: socket.socket | None = None
        self._inbox = Inbox(self._codec, self._most_bytes)
        self._patience_s = 0.0
        self._refusal: PeerError | None = None
        self._batch: Batch | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Make the connection."""
        try:
            self._socket = _connected(self.address, self._transport, self.timeout_s)
        except PeerError:
            self.stub.connected = False
            raise
        self._inbox = Inbox(self._codec, self._most_bytes)
        self._patience_s = 0.0

    def close(self) -> None:
        """Close the connection. Calls under way are given up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.stub.connection_lost("the client closed its connection.", time.monotonic(), final=True)

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
        return self.finish(self._begin(method, params_of(arguments, named_arguments)))

    def begin(self, method: str, /, *arguments: Any, **named_arguments: Any) -> Deferred:
        """Send a request and do not wait: the caller fetches the reply when it likes."""
        return Deferred(self, self._begin(method, params_of(arguments, named_arguments)))

    def notify(self, method: str, /, *arguments: Any, **named_arguments: Any) -> None:
        """Call one-way: there will be no reply, not even an error."""
        self._ensure_open()
        self.stub.notify(method, params_of(arguments, named_arguments))
        self._flush()

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Send what is begun within the block as one message (JSON-RPC's batch), or in one write."""
        self._batch = Batch([])
        try:
            yield self
        finally:
            batch, self._batch = self._batch, None
            if batch.messages:
                self._write(self._codec.encode(batch))

    def finish(self, call: Call) -> Any:
        """Wait until a call has ended: gives its result, or raises what came in its place."""
        wait_s = min(call.timeout_s, self.stub.retry_s) if call.retry_at_s < inf else call.timeout_s
        while not call.ended:
            self._pump(wait_s)
            wait_s = self.stub.wakeup_s - time.monotonic()
        return call.result(self.exceptions)

    def poll(self, call: Call) -> bool:
        """Take what has come, without waiting."""
        while not call.ended and self._socket is not None and self._pump(0.0):
            pass
        return call.ended

    # ---- inside

    def _begin(self, method: str, params: Params) -> Call:
        self._ensure_open()
        call = self.stub.begin(method, params, time.monotonic(), self.timeout_s)
        try:
            self._flush()
        except UsageError:
            self.stub.give_up(call, time.monotonic())
            raise
        return call

    def _ensure_open(self) -> None:
        """See to it that there is a connection, where the semantics would not make one later."""
        if self._socket is None and self.stub.semantics == "maybe":
            self.open()
            self.stub.connection_made(time.monotonic())

    def _flush(self) -> None:
        """Send what the stub wants to be sent."""
        if not self.stub.outgoing:
            return
        outgoing = self.stub.take_outgoing()
        if self._batch is not None:
            self._batch.messages.extend(outgoing)
            return
        for message in outgoing:
            self._write(self._codec.encode(message))

    def _write(self, data: bytes) -> None:
        if self._socket is None:
            return  # sent again with the next connection
        if self._transport == "udp" and len(data) > MAX_DATAGRAM_BYTES:
            raise UsageError(f"A message of {len(data):,} bytes does not fit a datagram.")
        try:
            if self._transport == "udp":
                self._socket.send(data)
            else:
                self._socket.sendall(data)
        except OSError as error:
            self._lose(error)
        except BaseException:  # a part may have gone out: what comes next would be taken for the rest
            self.close()
            raise

    def _pump(self, wait_s: float) -> bool:
        """Receive once, and do what is due: False if nothing came."""
        came = False
        if self._socket is None:
            self._reconnect()
        else:
            came = self._receive(self._socket, wait_s)
        now_s = time.monotonic()
        if now_s >= self.stub.wakeup_s:
            self.stub.tick(now_s)
        self._flush()
        return came

    def _receive(self, connected: socket.socket, wait_s: float) -> bool:
        if wait_s != self._patience_s:
            self._be_patient(connected, wait_s)
        try:
            count = connected.recv_into(self._inbox.get_buffer())
        except BlockingIOError:
            return False
        except OSError as error:
            self._lose(error)
            return False
        if not count and self._transport == "tcp":
            self._lose(None)
            return False
        self._take(self._inbox.received(count))
        return True

    def _take(self, messages: list[Message]) -> None:
        now_s = time.monotonic()
        for message in messages:
            for part in message.messages if type(message) is Batch else (message,):
                self.stub.receive(part, now_s)
        if self._inbox.failure is not None:
            self._violated(self._inbox.failure)

    def _be_patient(self, connected: socket.socket, wait_s: float) -> None:
        """Tell the kernel how long to wait: with Python's own timeouts there is a poll before every call."""
        self._patience_s = wait_s
        connected.setblocking(wait_s > 0)
        if wait_s > 0:
            seconds, fraction = divmod(max(MIN_WAIT_S, min(wait_s, 1e6)), 1)
            timeval = struct.pack("@ll", int(seconds), int(fraction * 1e6))
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def _reconnect(self) -> None:
        """Try to connect again; if in vain, wait a little, and not beyond what is due next."""
        now_s = time.monotonic()
        try:
            self.open()
        except PeerRefused:
            time.sleep(max(0.0, min(self.stub.retry_s, self.stub.wakeup_s - now_s)))
        except PeerSilent:
            pass
        else:
            self.stub.connection_made(time.monotonic())

    def _lose(self, error: OSError | None) -> None:
        """The connection has ended."""
        if self._transport == "udp":
            return  # an ICMP message: nobody is there now; somebody may be there for the next copy
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        how = f"broke: {error.strerror}" if error else "was closed by the server"
        self.stub.connection_lost(f"the connection to {self.address} {how}.", time.monotonic())

    def _violated(self, failure: MalformedMessage) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for call in self.stub.connection_lost(str(failure), time.monotonic(), final=True):
            call.error = failure


def _connected(address: Address, transport: Transport, timeout_s: float) -> socket.socket:
    """Connect a socket.

    Raises:
        PeerRefused: Nobody is there.
        PeerSilent: Nobody answered.
    """
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    try:
        family, *_, where = socket.getaddrinfo(*address.pair, type=kind)[0]
    except socket.gaierror as error:
        raise PeerRefused(f"{address}: nobody has that name.") from error
    connected = socket.socket(family, kind)
    try:
        connected.settimeout(timeout_s)
        connected.connect(where)
        if transport == "tcp":
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        connected.close()
        raise _refusal(address, timeout_s, error) from error
    return connected


def _refusal(address: Address, timeout_s: float, error: OSError) -> Exception:
    if isinstance(error, TimeoutError):
        silent = PeerSilent(f"{address}: waited {timeout_s:g} s in vain for a connection.")
        silent.happened = Happened.NO
        return silent
    if error.errno not in NOBODY_THERE:
        return error  # our own trouble, such as no descriptor left
    return PeerRefused(f"{address} took no connection: {error.strerror}.")
