"""The clients: blocking, one connection or one UDP socket each.

A call that waits has one deadline, ``timeout_s`` after it began, however many pieces it takes. A peer that
sends a byte now and then cannot keep the caller for ever; a socket's own timeout, which starts again with
each piece, would let it.

While it sends, the client also receives. A server may well answer the start of a message before it has read
the end, and two peers that both only send, each with the other's buffers full, wait for each other for ever.

Every failure is a `PeerError` that says what was waited for, how long, and what had come by then.

Source: ch. 4, Sockets.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from dslab.echo.messages import DEFAULT_MAX_MESSAGE_BYTES, MARK, Framing
from dslab.echo.protocol import Framer
from dslab.echo.udp import UdpClient
from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerRefused, PeerSilent

__all__ = ["Connection", "UdpClient", "connect"]

PIECE_BYTES = 64 * 1024
NOBODY_THERE = {errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH}
QUIET_S = 0.3  # after the first piece of a raw reply: this long without another, and it was the whole


def connect(
    address: Address | str,
    *,
    timeout_s: float = 5.0,
    framing: Framing = "length",
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES,
) -> Connection:
    """Connect to an echo server.

    Args:
        address: An `Address`, or ``host:port``.
        timeout_s: How long to wait for the connection, and then for each call on it.
        framing: What `Connection.request` sends and takes for a reply.
        max_message_bytes: The longest message that the server takes. Its reply may be one longer.

    Raises:
        PeerRefused: Nobody listens there.
        PeerSilent: Nobody answered.
    """
    where = Address.parse(address) if isinstance(address, str) else address
    try:
        connected = socket.create_connection(where.pair, timeout_s)
    except TimeoutError as error:
        raise PeerSilent(f"{where}: waited {timeout_s:g} s in vain for a connection.") from error
    except socket.gaierror as error:
        raise PeerRefused(f"{where}: nobody has that name.") from error
    except OSError as error:
        if error.errno not in NOBODY_THERE:
            raise  # our own trouble, such as no descriptor left
        raise PeerRefused(f"{where} took no connection: {error.strerror}.") from error
    return Connection(connected, where, timeout_s, framing, max_message_bytes)


class Connection:
    """A connection to an echo server. A context manager; leaving it closes the connection.

    Attributes:
        address: The server's.
        timeout_s: How long each call may take. May be set at any time.
        was_reset: The peer ended the connection by a reset, not by an orderly close.
    """

    def __init__(
        self,
        connected: socket.socket,
        address: Address,
        timeout_s: float,
        framing: Framing,
        max_message_bytes: int,
    ) -> None:
        connected.setblocking(False)  # `_wait` does the waiting, for either direction
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a request waits for no companions
        self.address = address
        self.timeout_s = timeout_s
        self.was_reset = False
        self._socket = connected
        self._framing = framing
        self._framer = Framer(max_message_bytes + len(MARK))
        self._received = bytearray()  # what has come and has not been asked for yet
        self._most_bytes = max_message_bytes + PIECE_BYTES
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, orderly where nothing is left unread."""
        self._socket.close()

    def request(self, message: bytes) -> bytes:
        """Send a message and give the reply.

        With the framing ``raw`` the reply has no border. What has come is taken for the whole once it is a
        byte longer than the message, when the stream ends, or when nothing more comes for 0.3 s.
        """
        if self._framing == "length":
            self.send_message(message)
            return self.receive_message()
        self.send(message)
        return self._receive_raw_reply(len(message) + len(MARK))

    def send(self, data: bytes) -> None:
        """Send bytes as they are. Receives meanwhile what comes.

        Raises:
            PeerClosed: The peer ended the connection first.
            PeerSilent: It stopped taking bytes.
        """
        deadline_s = time.monotonic() + self.timeout_s
        unsent = memoryview(data)
        while unsent:
            ready = self._wait(select.POLLOUT | self._room(), deadline_s)
            if not ready:
                raise self._silent(f"the last {len(unsent)} of {len(data)} bytes to be taken")
            if ready & select.POLLIN:
                self._receive_available()
            if ready & ~select.POLLIN:
                unsent = unsent[self._send_some(unsent) :]

    def send_message(self, message: bytes) -> None:
        """Send a message, its length before it."""
        self.send(self._framer.send(message))

    def receive_message(self) -> bytes:
        """Receive one framed message.

        Raises:
            StreamTruncated: The stream ended inside the message.
            PeerClosed: The peer ended the connection before the first byte of it.
            PeerSilent: The message did not come whole in time.
            MessageTooLong: It announces more than the longest reply.
        """
        deadline_s = time.monotonic() + self.timeout_s
        while True:
            missing = self._framer.missing_bytes
            part = f"the last {missing} bytes of a message" if self._framer.in_message else "a message"
            if not self._receive_until(1, deadline_s, part):
                self._framer.receive_end()
                raise self._closed(part)
            for message in self._framer.receive_data(self._take(missing)):
                return message

    def receive_exactly(self, count: int) -> bytes:
        """Receive ``count`` bytes, neither more nor fewer."""
        if not self._receive_until(count, time.monotonic() + self.timeout_s, f"{count} bytes"):
            raise self._closed(f"{count} bytes")
        return self._take(count)

    def receive_some(self) -> bytes:
        """Receive what there is, at least one byte; ``b""`` at the end: the textbook's ``recv``."""
        self._receive_until(1, time.monotonic() + self.timeout_s, "anything")
        return self._take(len(self._received))

    def at_end(self) -> bool:
        """Wait for the peer to end the connection: True once it has; False if bytes come first.

        A reset counts too (`was_reset`).

        Raises:
            PeerSilent: It did neither in time.
        """
        return not self._receive_until(1, time.monotonic() + self.timeout_s, "the end of the connection")

    def finish(self) -> None:
        """Say that nothing more will be sent (half-close). Replies still come."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._closed("the end of the requests") from error

    def reset(self) -> None:
        """End the connection at once, by a reset: what was under way is lost, in both directions."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _receive_raw_reply(self, expected_bytes: int) -> bytes:
        if not self._receive_until(1, time.monotonic() + self.timeout_s, "a reply"):
            raise self._closed("a reply")
        quiet_s = min(QUIET_S, self.timeout_s)
        with suppress(PeerSilent):
            while not self._ended and (come := len(self._received)) < expected_bytes:
                self._receive_until(come + 1, time.monotonic() + quiet_s, "the rest")
        return self._take(len(self._received))

    def _take(self, most: int) -> bytes:
        taken = bytes(self._received[:most])
        del self._received[:most]
        return taken

    def _room(self) -> int:
        """Receive while sending only as long as what came unasked is bounded."""
        return select.POLLIN if len(self._received) < self._most_bytes and not self._ended else 0

    def _receive_until(self, count: int, deadline_s: float, waited_for: str) -> bool:
        """Wait until ``count`` bytes lie ready: False if the stream ends before."""
        while len(self._received) < count and not self._ended:
            if not self._wait(select.POLLIN, deadline_s):
                raise self._silent(waited_for)
            self._receive_available()
        return len(self._received) >= count

    def _wait(self, events: int, deadline_s: float) -> int:
        """Wait for one of the events: which of them are there, 0 if none came in time."""
        poller = select.poll()  # not select.select, which knows no descriptor above 1023
        poller.register(self._socket, events)
        remaining_s = max(0.0, deadline_s - time.monotonic())
        return sum(ready for _, ready in poller.poll(remaining_s * 1000))

    def _receive_available(self) -> None:
        try:
            piece = self._socket.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:  # reset, or given up by the network
            self.was_reset = True
            piece = b""
        self._ended = not piece
        self._received += piece

    def _send_some(self, unsent: memoryview) -> int:
        try:
            return self._socket.send(unsent)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.was_reset = isinstance(error, ConnectionResetError)
            raise self._closed(f"{len(unsent)} more bytes to be taken") from error

    def _silent(self, waited_for: str) -> PeerSilent:
        return PeerSilent(
            f"{self.address}: waited {self.timeout_s:g} s in vain for {waited_for}{self._came()}."
        )

    def _closed(self, waited_for: str) -> PeerClosed:
        how = "reset" if self.was_reset else "closed"
        return PeerClosed(f"{self.address} {how} the connection: waited for {waited_for}{self._came()}.")

    def _came(self) -> str:
        return f" ({len(self._received)} bytes lie ready)" if self._received else ""
