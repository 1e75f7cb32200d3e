"""The connections of the blocking client: bytes out, messages in, by TCP or UDP (`connection_http`: by HTTP).

Each has the same three methods, and raises `OSError` where the network, `Ended` where the server ends it. It
waits in the kernel, which is told how long once, and again only when that changes: with Python's own timeouts
there is a poll before every call.

Source: ch. 4, Sockets.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from contextlib import suppress
from typing import Any, Protocol

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerRefused, PeerSilent, UsageError
from dslab.rpc.inbox import Inbox
from dslab.rpc.messages import MAX_DATAGRAM_BYTES, Codec, Invalid, MalformedMessage, Message
from dslab.rpc.settings import Settings

NOBODY_THERE = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH}
MIN_WAIT_S, MAX_WAIT_S = 0.001, 1e6
_AT_ONCE = int(socket.MSG_DONTWAIT)  # reading a name of an enum, for every call, takes longer


class Ended(OSError):
    """The server has closed the connection."""


class Connection(Protocol):
    """What the client needs of a connection."""

    def send(self, data: bytes, wait_s: float) -> None:
        """Send a message. That may take so long at most."""

    def receive(self, wait_s: float) -> list[Message] | None:
        """Wait so long at most for something to come: the messages that are whole now. None: nothing came."""

    def close(self) -> None:
        """Close it."""


class TcpConnection:
    """A stream."""

    def __init__(self, address: Address, settings: Settings, codec: Codec, wait_s: float) -> None:
        self._socket = connected(address, socket.SOCK_STREAM, wait_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._inbox = Inbox(codec, settings.max_message_bytes)
        self._patience_s = -1.0
        self._early: list[Message] = []  # what came while we sent

    def send(self, data: bytes, wait_s: float) -> None:
        """Send bytes.

        Raises:
            TimeoutError: The server takes no more.
        """
        try:
            sent = self._socket.send(data, _AT_ONCE)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:], wait_s)

    def receive(self, wait_s: float) -> list[Message] | None:
        """Receive a piece.

        Raises:
            Ended: There will be no more.
            MalformedMessage: It is nonsense.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        if self._inbox.failure is not None:
            raise self._inbox.failure
        if wait_s != self._patience_s:
            self._patience_s = _be_patient(self._socket, wait_s)
        try:
            count = self._socket.recv_into(self._inbox.get_buffer())
        except BlockingIOError:
            return None
        if not count:
            raise Ended(errno.EPIPE, "closed by the server")
        return self._inbox.received(count)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _send_rest(self, unsent: memoryview, wait_s: float) -> None:
        """Send what the kernel has no room for yet, and receive meanwhile.

        The server may be waiting for us to take its replies before it reads on: two that both only send wait
        for each other for ever.
        """
        poller = select.poll()
        poller.register(self._socket, select.POLLIN | select.POLLOUT)
        deadline_s = time.monotonic() + wait_s
        while unsent:
            left_s = deadline_s - time.monotonic()
            ready = left_s > 0 and poller.poll(min(left_s, MAX_WAIT_S) * 1000)
            if not ready:
                raise TimeoutError(errno.ETIMEDOUT, f"a message was not taken within {wait_s:g} s")
            if ready[0][1] & select.POLLIN:
                early, self._early = self._early, []
                try:
                    early += self.receive(0.0) or []
                finally:  # also if it has ended
                    self._early = early
            with suppress(BlockingIOError):
                unsent = unsent[self._socket.send(unsent, _AT_ONCE) :]


class UdpConnection:
    """A socket that takes datagrams from one address only."""

    def __init__(self, address: Address, _settings: Settings, codec: Codec, wait_s: float) -> None:
        self._socket = connected(address, socket.SOCK_DGRAM, wait_s)
        self._codec = codec
        self._patience_s = -1.0

    def send(self, data: bytes, wait_s: float) -> None:
        """Send a datagram.

        Raises:
            UsageError: It would not fit.
        """
        if len(data) > MAX_DATAGRAM_BYTES:
            raise UsageError(f"A message of {len(data):,} bytes does not fit a datagram.")
        try:
            self._socket.send(data)
        except ConnectionRefusedError:  # nobody was there for an earlier one; perhaps there is for the next
            self._socket.send(data)

    def receive(self, wait_s: float) -> list[Message] | None:
        """Receive a datagram. One that is no message is dropped: it may come from anybody."""
        if wait_s != self._patience_s:
            self._patience_s = _be_patient(self._socket, wait_s)
        try:
            message = self._codec.decode(self._socket.recv(MAX_DATAGRAM_BYTES + 1))
            return [] if isinstance(message, Invalid) else [message]
        except BlockingIOError:
            return None
        except (ConnectionRefusedError, MalformedMessage):
            return []

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def connected(address: Address, kind: socket.SocketKind, timeout_s: float) -> socket.socket:
    """Give a socket that is connected.

    Raises:
        PeerRefused: Nobody listens there.
        PeerSilent: Nobody answered.
    """
    try:
        return dialled(address, kind, timeout_s)
    except (OSError, UnicodeError) as error:
        raise refusal(address, timeout_s, error) from error


def dialled(address: Address, kind: socket.SocketKind, timeout_s: float) -> socket.socket:
    """Connect to whichever of a name's numbers takes it: ``localhost`` may have two, and one nobody there."""
    failures: list[OSError] = []
    for number in socket.getaddrinfo(*address.pair, type=kind):
        try:
            return _by_number(number, timeout_s)
        except TimeoutError:
            raise  # there is no time left for another
        except OSError as error:  # such as that this machine has no IPv6
            failures.append(error)
    raise next((each for each in failures if each.errno in NOBODY_THERE), failures[0])


def _by_number(number: Any, timeout_s: float) -> socket.socket:
    family, kind, _, _, where = number
    made = socket.socket(family, kind)
    try:
        made.settimeout(min(timeout_s, MAX_WAIT_S))
        made.connect(where)
    except OSError:
        made.close()
        raise
    return made


def refusal(address: Address, timeout_s: float, error: OSError | UnicodeError) -> Exception:
    """Say why there is no connection. What is our own trouble, such as no descriptor left, stays as it is."""
    if isinstance(error, socket.gaierror | UnicodeError):  # there are names that cannot even be asked for
        return PeerRefused(f"{address}: nobody has that name.")
    if isinstance(error, TimeoutError):
        silent = PeerSilent(f"{address}: waited {timeout_s:g} s in vain for a connection.")
        silent.happened = Happened.NO
        return silent
    if error.errno is not None and error.errno not in NOBODY_THERE:  # none, of several addresses of asyncio's
        return error
    return PeerRefused(f"{address} took no connection: {error.strerror or error}.")


def _be_patient(connected: socket.socket, wait_s: float) -> float:
    """Tell the kernel how long to wait for what comes: gives the same."""
    connected.setblocking(wait_s > 0)
    if wait_s > 0:
        seconds, fraction = divmod(max(MIN_WAIT_S, min(wait_s, MAX_WAIT_S)), 1)
        timeval = struct.pack("@ll", int(seconds), int(fraction * 1e6))
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    return wait_s
