"""One blocking connection: requests out, replies in, one at a time.

An error in the middle of a request closes the connection: a late reply must not pass for the next request's.
A fork closes it in the new process: of two that read one stream, each would take the other's replies for
its own.

Source: ch. 4, Remote procedure call.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from math import inf
from weakref import WeakSet

from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerSilent, PeerViolation, UsageError
from dslab.linda.calls import MAX_REPLY_BYTES, RefusedError
from dslab.linda.messages import LENGTH, FromClient, FromServer, Refused, decode_reply, encode_request

_PIECE_BYTES = 64 * 1024


class Connection:
    """A connection to a server.

    Args:
        connected: Its socket.
        address: The server's, for messages.
        timeout_s: How long the server may take for what needs no waiting.

    Attributes:
        next_request: Gives a number for a request.
    """

    def __init__(self, connected: socket.socket, address: Address, timeout_s: float) -> None:
        self.address = address
        self.timeout_s = timeout_s
        self._socket: socket.socket | None = connected
        _set_patience(connected, timeout_s)
        self._patience_s = inf  # what is left of it
        self._received = bytearray()
        self._busy = False  # with an exchange, or one has ended in an error, and the connection with it
        self.next_request = count(1).__next__
        self._remedy: str | None = None
        _connections.add(self)

    def close(self) -> None:
        """Close the connection: the server undoes open transactions. A thread that waits on it is told."""
        connected, self._socket = self._socket, None
        if connected is not None:
            with suppress(OSError):  # it has ended already
                connected.shutdown(socket.SHUT_RDWR)
            connected.close()

    def call(self, message: FromClient, wait_s: float | None = 0.0) -> FromServer:
        """Send a request and wait for its reply, ``wait_s`` longer than usual (None: for ever).

        Raises:
            FieldError: It is too long, and has not been sent.
        """
        return self._exchange(encode_request(message), (message.request,), wait_s)[0]

    def call_all(self, messages: Sequence[FromClient]) -> list[FromServer]:
        """Send requests in one piece and wait for all their replies. Raises as `call` does."""
        data = b"".join(map(encode_request, messages))
        return self._exchange(data, [message.request for message in messages], 0.0)

    def leave_to_parent(self) -> None:
        """Close it after a fork, in the new process: in the other it goes on."""
        connected, self._socket = self._socket, None
        if connected is not None:
            self._remedy = "It was made before this process was forked: connect again in this one."
            connected.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._exchange(data, (), 0.0)

    def receive(self, request: int, wait_s: float | None = 0.0) -> FromServer:
        """Wait for the next reply, which must be that of a request."""
        return self._exchange(b"", (request,), wait_s)[0]

    def _exchange(self, data: bytes, requests: Sequence[int], wait_s: float | None) -> list[FromServer]:
        """Send what there is and receive a reply to each request, with nobody else in between."""
        connected = self._free()
        replies = []
        try:
            self._busy = True
            if data:
                self._send(connected, data)
            for request in requests:  # a comprehension takes longer, and mostly there is one
                replies.append(self._receive(connected, request, wait_s))
        except BaseException:  # Ctrl-C too: a part may have gone out, a reply may be still to come
            self.close()
            raise
        self._busy = False
        return replies

    def _send(self, connected: socket.socket, data: bytes) -> None:
        try:
            connected.sendall(data)
        except OSError as error:
            raise self._ended(", or takes no more") from error

    def _receive(self, connected: socket.socket, request: int, wait_s: float | None) -> FromServer:
        self._patience_s = inf if wait_s is None else wait_s + 0.9 * self.timeout_s
        try:
            reply = decode_reply(self._body(connected))
        except BlockingIOError as error:
            raise PeerSilent(f"{self.address} did not answer within {self.timeout_s:g} s.") from error
        except OSError as error:
            raise self._ended(f": {error.strerror}") from error
        if reply.request == request:
            return reply
        if isinstance(reply, Refused):  # it says why it is about to hang up
            raise RefusedError(reply.reason)
        raise PeerViolation(f"The server answered request {reply.request}, which was not open.")

    def _free(self) -> socket.socket:
        """Give the socket, if no other thread uses it: two would take each other's replies.

        Raises:
            UsageError: Another thread does.
        """
        if self._socket is None:
            raise self._closed()
        if self._busy:
            message = f"Another thread waits for a reply on the connection to {self.address}."
            raise UsageError(message, remedy="Let each thread connect for itself.")
        return self._socket

    def _body(self, connected: socket.socket) -> bytes:
        """Receive a reply, without its length."""
        if not self._received:  # mostly it comes alone, and in one piece
            piece = self._piece(connected)
            if len(piece) > LENGTH.size and LENGTH.unpack_from(piece)[0] == len(piece) - LENGTH.size:
                return piece[LENGTH.size :]
            self._received += piece
        self._fill(connected, LENGTH.size)
        (length,) = LENGTH.unpack_from(self._received)
        if length > MAX_REPLY_BYTES:
            raise PeerViolation(f"{self.address} announces a reply of {length:,} bytes.")
        end = LENGTH.size + length
        self._fill(connected, end)
        body = bytes(self._received[LENGTH.size : end])
        del self._received[:end]
        return body

    def _fill(self, connected: socket.socket, size: int) -> None:
        while len(self._received) < size:
            self._received += self._piece(connected)

    def _piece(self, connected: socket.socket) -> bytes:
        while True:
            try:
                piece = connected.recv(_PIECE_BYTES)
            except BlockingIOError:  # the kernel's patience is over; ours may last longer
                self._patience_s -= self.timeout_s
                if self._patience_s <= 0:
                    raise
            else:
                if not piece:
                    raise self._ended("")
                return piece

    def _ended(self, how: str) -> PeerClosed:
        """Say who closed the connection: the server, or another thread of this program."""
        if self._socket is None:
            return self._closed()
        return PeerClosed(f"{self.address} closed the connection{how}.")

    def _closed(self) -> PeerClosed:
        return PeerClosed(f"The connection to {self.address} is closed.", remedy=self._remedy)


def _set_patience(connected: socket.socket, timeout_s: float) -> None:
    """Let the kernel end a wait: with Python's own timeouts there is a poll before every call."""
    seconds, fraction = divmod(timeout_s, 1)
    timeval = struct.pack("@ll", int(seconds), max(1, int(fraction * 1e6)))  # 0 would be for ever
    connected.settimeout(None)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


_connections: WeakSet[Connection] = WeakSet()


def _leave_all_to_parent() -> None:
    for connection in list(_connections):
        connection.leave_to_parent()


os.register_at_fork(after_in_child=_leave_all_to_parent)
