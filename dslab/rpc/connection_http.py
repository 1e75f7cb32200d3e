"""The connection of the blocking client over HTTP: each message is posted, each reply is a response.

What has come of a response is kept by h11, a state machine without I/O like our own, until the rest comes. So
a deadline may pass in the middle of one, and a server that sends its bytes one by one holds nobody up.

Source: ch. 4, Layered protocols; RFC 9110, RFC 9112.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections import deque

import h11

from dslab.kit.address import Address
from dslab.rpc.connection import MAX_WAIT_S, MIN_WAIT_S, Ended, connected, dialled
from dslab.rpc.inbox import PIECE_BYTES
from dslab.rpc.messages import Codec, Invalid, MalformedMessage, Message, MessageTooLong
from dslab.rpc.settings import Settings

_HTTP_ERRORS = 300  # statuses from here on, and those that send us elsewhere


class HttpConnection:
    """Exchanges, one after the other: a request that is sent waits for the reply to the one before."""

    def __init__(self, address: Address, settings: Settings, codec: Codec, wait_s: float) -> None:
        self._address = address
        self._most_bytes = settings.max_message_bytes
        self._codec = codec
        self._unsent: deque[tuple[float, bytes]] = deque()  # and until when somebody waits for it
        self._failure: OSError | None = None  # of the next request, while there is a reply to be given
        self._begin(connected(address, socket.SOCK_STREAM, wait_s))
        self._host = str(Address(address.host.encode("idna").decode(), address.port))

    def send(self, data: bytes, wait_s: float) -> None:
        """Post a message, or put it in the queue, which takes some of its time."""
        self._unsent.append((time.monotonic() + wait_s, data))
        self._post()

    def receive(self, wait_s: float) -> list[Message] | None:
        """Receive a piece of a response.

        Raises:
            Ended: There will be no more.
            MalformedMessage: It is none of HTTP's, or has nothing of JSON-RPC's, or is too long.
        """
        if self._failure is not None:
            raise self._failure
        if self._http.our_state is h11.IDLE:  # no response will come
            if _has_come(self._socket, wait_s):
                raise Ended(errno.EPIPE, "closed by the server")
            return None
        self._socket.settimeout(max(0.0, min(wait_s, MAX_WAIT_S)))
        try:
            data = self._socket.recv(PIECE_BYTES)
        except (TimeoutError, BlockingIOError):
            return None
        try:
            self._http.receive_data(data)
            return self._read()
        except h11.RemoteProtocolError as error:
            if not data:
                raise Ended(errno.EPIPE, "closed by the server") from error
            raise MalformedMessage(f"No response of HTTP's: {error}.") from error

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _begin(self, by: socket.socket) -> None:
        self._socket = by
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._http = h11.Connection(h11.CLIENT)
        self._status, self._reason = 0, ""
        self._body = bytearray()

    def _post(self) -> None:
        """Post the next message, if nothing is under way: on another connection, if this one ends."""
        if self._http.our_state is not h11.IDLE and not self._is_over():
            return
        while self._unsent and self._unsent[0][0] <= time.monotonic():
            self._unsent.popleft()  # its caller has given up meanwhile
        if not self._unsent:
            return
        until_s, body = self._unsent.popleft()
        if self._is_over() or _has_come(self._socket):
            self._socket.close()
            self._begin(dialled(self._address, socket.SOCK_STREAM, _left_s(until_s)))
        head = [("Host", self._host), ("Content-Length", str(len(body)))]
        head += [("Content-Type", "application/json"), ("Accept", "application/json")]
        request = self._http.send(h11.Request(method="POST", target="/", headers=head)) or b""
        request += self._http.send(h11.Data(data=body)) or b""
        self._http.send(h11.EndOfMessage())
        self._socket.settimeout(_left_s(until_s))
        self._socket.sendall(request)

    def _is_over(self) -> bool:
        """Has the server said that this exchange is the connection's last, and has it ended?"""
        return self._http.their_state in (h11.MUST_CLOSE, h11.CLOSED)

    def _read(self) -> list[Message]:
        """Read what there is of a response."""
        while (event := self._http.next_event()) is not h11.NEED_DATA:
            match event:
                case h11.Response(status_code=status, reason=reason):
                    self._status, self._reason = status, reason.decode(errors="replace")
                case h11.Data(data=data):
                    self._body += data
                    if len(self._body) > self._most_bytes:
                        raise MessageTooLong(f"A reply is longer than {self._most_bytes:,} bytes.")
                case h11.EndOfMessage():
                    return self._finish()
                case h11.ConnectionClosed():
                    raise Ended(errno.EPIPE, "closed by the server")
        return []

    def _finish(self) -> list[Message]:
        """Take the end of a response; post the next request."""
        message = self._codec.decode(self._body) if self._body.strip() else None
        if isinstance(message, Invalid) or (message is None and self._status >= _HTTP_ERRORS):
            raise MalformedMessage(f"Nothing of JSON-RPC's: HTTP's {self._status} {self._reason}.")
        self._body = bytearray()
        if not self._is_over():
            self._http.start_next_cycle()
        try:
            self._post()
        except OSError as error:
            self._failure = error
        return [message] if message else []


def _left_s(until_s: float) -> float:
    """Say how long a socket may take, in what it can be told."""
    return max(MIN_WAIT_S, min(until_s - time.monotonic(), MAX_WAIT_S))


def _has_come(connection: socket.socket, wait_s: float = 0.0) -> bool:
    """Is there anything to be received, or the end? Wait so long at most."""
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return bool(poller.poll(max(0.0, min(wait_s, MAX_WAIT_S)) * 1000))
