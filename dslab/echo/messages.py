"""What travels: framed messages over TCP, requests and replies over UDP.

Over TCP with the framing ``length``, every message, in either direction, is::

    offset  size  field
    0       4     n, the length of the message: unsigned, big-endian (network byte order)
    4       n     the message: any bytes, none included

With the framing ``raw`` there are no messages, only pieces: whatever one ``recv`` happened to return. TCP
keeps the order of bytes, not the borders between two ``send`` calls, so a piece may be half a message or
three.

Over UDP a datagram keeps its borders, but it may be lost, doubled or late. A header pairs replies with
requests::

    offset  size  field
    0       8     request id: unsigned, big-endian; a retransmission carries the id of the original
    8       1     kind: 1 request, 2 reply
    9       rest  payload

The answer to a message, piece or payload is the same bytes and a ``*``.

This module does no I/O and keeps no state.

Source: ch. 4, Layered protocols (a header per layer; message, segment, datagram) and Sockets.
"""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple, TypeAlias

from dslab.kit.errors import PeerClosed, PeerViolation, UsageError

Framing: TypeAlias = Literal["length", "raw"]

MARK = b"*"
"""What the service appends to what it was sent."""

LENGTH = struct.Struct("!I")
"""The length prefix of a framed message."""

DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024

MAX_DATAGRAM_BYTES = 65_507
"""What fits into one IPv4 datagram: 65,535 less 20 bytes of IP header and 8 of UDP."""

_HEADER = struct.Struct("!QB")
_REQUEST: Literal[1] = 1
_REPLY: Literal[2] = 2


class MessageTooLong(PeerViolation):
    """A length prefix announces more than the receiver is willing to hold."""


class StreamTruncated(PeerClosed):
    """The stream ended inside a message."""


class MalformedDatagram(PeerViolation):
    """A datagram is neither a request nor a reply."""


class Request(NamedTuple):
    """A client asks. Sent again, unchanged, while no reply arrives."""

    request_id: int
    payload: bytes
    kind: Literal[1] = _REQUEST


class Reply(NamedTuple):
    """The server answers the request of the same id."""

    request_id: int
    payload: bytes
    kind: Literal[2] = _REPLY


Datagram: TypeAlias = Request | Reply


def frame(message: bytes) -> bytes:
    """Put the length before a message."""
    try:
        return LENGTH.pack(len(message)) + message
    except struct.error as error:
        raise UsageError(f"A message of {len(message)} bytes does not fit a 4-byte length.") from error


def frames(buffer: bytes | memoryview) -> int | None:
    """Say how long the first framed message in a buffer is, prefix included; None while it is incomplete.

    Raises:
        ValueError: The buffer does not start with a message that a server would take.
    """
    if len(buffer) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(buffer)
    if length > DEFAULT_MAX_MESSAGE_BYTES + len(MARK):
        raise ValueError(f"a message of {length} bytes is announced")
    end = LENGTH.size + int(length)
    return end if len(buffer) >= end else None


def encode_datagram(datagram: Datagram) -> bytes:
    """Marshal a request or a reply."""
    encoded = _HEADER.pack(datagram.request_id, datagram.kind) + datagram.payload
    if len(encoded) > MAX_DATAGRAM_BYTES:
        room = MAX_DATAGRAM_BYTES - _HEADER.size
        raise UsageError(
            f"A payload of {len(datagram.payload)} bytes does not fit a datagram (at most {room})."
        )
    return encoded


def decode_datagram(data: bytes) -> Datagram:
    """Unmarshal a request or a reply.

    Raises:
        MalformedDatagram: The bytes are neither.
    """
    if len(data) < _HEADER.size:
        raise MalformedDatagram(
            f"A datagram of {len(data)} bytes is shorter than its {_HEADER.size}-byte header."
        )
    request_id, kind = _HEADER.unpack_from(data)
    payload = data[_HEADER.size :]
    if kind == _REQUEST:
        return Request(request_id, payload)
    if kind == _REPLY:
        return Reply(request_id, payload)
    raise MalformedDatagram(f"A datagram of kind {kind} is neither a request (1) nor a reply (2).")


def describe_message(data: bytes) -> str:
    """Label a framed message for a picture: ``11 bytes 'Hello World'``. Anything else shows as it is."""
    message = data[LENGTH.size :]
    if data[: LENGTH.size] != LENGTH.pack(len(message)):
        return _excerpt(data)
    return f"{len(message)} bytes {_excerpt(message)}"


def describe_datagram(data: bytes) -> str:
    """Label a datagram for a picture: ``request ..3f2a 'Hello'``, with the end of its id."""
    match decode_datagram(data):
        case Request(request_id=request_id, payload=payload):
            return f"request ..{request_id & 0xFFFF:04x} {_excerpt(payload)}"
        case Reply(request_id=request_id, payload=payload):
            return f"reply ..{request_id & 0xFFFF:04x} {_excerpt(payload)}"


def _excerpt(data: bytes, most: int = 24) -> str:
    """Show the start of some bytes, as text where it is text."""
    start = data[:most]
    shown = repr(start.decode()) if start.isascii() and start.decode().isprintable() else start.hex(" ")
    return f"{shown}..." if len(data) > most else shown
