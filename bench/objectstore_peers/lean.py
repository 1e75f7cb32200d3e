"""A client that costs next to nothing: a bare socket, requests that are written once, answers hardly read."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping

from dslab.kit.address import Address
from dslab.kit.errors import PeerError
from dslab.objectstore.auth import UNSIGNED, Request, sign

ACCESS_KEY, SECRET = "ID", "SECRET"
SMALL_BYTES = 64 * 1024

Headers = Callable[[str, str], Mapping[str, str]]
"""Gives the headers of a request, by method and path."""


def no_headers(method: str, path: str) -> Mapping[str, str]:
    """Nobody's request."""
    return {}


def unchecked(method: str, path: str) -> Mapping[str, str]:
    """What moto wants: it refuses who does not sign, and looks no further."""
    return {"authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20300101/us-east-1/s3/aws4_request"}


def signed(method: str, path: str) -> Mapping[str, str]:
    """Signature V4."""
    request = Request(method, path.encode(), (), {"host": "127.0.0.1"})
    return sign(request, ACCESS_KEY, SECRET, "us-east-1", UNSIGNED, time.time())


class Lean:
    """A connection."""

    def __init__(self, address: Address, headers: Headers = no_headers) -> None:
        self._address = address
        self._headers = headers
        self._heads: dict[tuple[str, str, int], bytes] = {}
        self._buffer = memoryview(bytearray(1 << 20))
        self._socket = self._connect()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def renew(self) -> None:
        """Call again: servers hang up on who has been idle for a minute."""
        self._socket.close()
        self._socket = self._connect()

    def request(self, method: str, path: str, body: bytes = b"") -> int:
        """One exchange: gives how long the answer's body was. A server that hangs up is called again.

        Raises:
            PeerError: It was refused.
        """
        head = self._head(method, path, len(body))
        if len(body) < SMALL_BYTES:
            self._socket.sendall(head + body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)
        return self._answer(method, path)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address.pair, timeout=120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _head(self, method: str, path: str, size: int) -> bytes:
        known = self._heads.get((method, path, size))
        if known is not None:
            return known
        fields = {"host": "127.0.0.1", **self._headers(method, path)}
        if method == "PUT":
            fields["content-length"] = str(size)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()
        if self._headers is not signed:  # what is signed is signed anew, as clients do
            self._heads[method, path, size] = head
        return head

    def _answer(self, method: str, path: str) -> int:
        received = self._socket.recv(SMALL_BYTES)
        while (end := received.find(b"\r\n\r\n")) < 0:
            piece = self._socket.recv(SMALL_BYTES)
            if not piece:
                raise PeerError(f"{self._address} hung up.")
            received += piece
        head = received[:end].lower()
        if not head.startswith((b"http/1.1 2", b"http/1.0 2")):
            raise PeerError(f"{self._address} answered {head[9:12].decode()} to {method} {path}.")
        length = 0 if method == "HEAD" else _length(head)
        left = length - (len(received) - end - 4)
        while left > 0:
            count = self._socket.recv_into(self._buffer, min(left, len(self._buffer)))
            if not count:
                raise PeerError(f"{self._address} hung up.")
            left -= count
        if b"connection: close" in head or head.startswith(b"http/1.0"):
            self.renew()
        return length


def _length(head: bytes) -> int:
    at = head.find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
