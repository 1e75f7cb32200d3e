"""What travels between a client and the tuple space's server.

Every message, in either direction, is::

    offset  size  field
    0       4     n, the length of what follows: unsigned, big-endian
    4       n     a MessagePack array: [tag, request, ...]

``request`` is a number that the client chooses; the reply carries it. A client may send many requests
before it has read the first reply, and a blocked one is overtaken by later ones. The tags, and what follows
``request``:

====  ==========  ===============================================  ===================================
tag   message     what follows                                     replies
====  ==========  ===============================================  ===================================
1     Hello       version, token                                   Done, Refused
2     Out         space, fields, lease_s, transaction              Done
3     In          space, template, wait_s, transaction             Found, Nothing (after wait_s)
4     Rd          the same                                         the same
5     Count       space, template, transaction                     Done (how many)
6     Collect     source, target, template, take, transaction      Done (how many)
7     NewSpace                                                     Done (its number)
8     Commit      transaction                                      Done
9     Abort       transaction                                      Done
10    Notify      space, template                                  Done; Found for each ``out``, until Cancel
11    Cancel      which                                            Done; for ``which``: Nothing
12    List        space, template, most                            Listed
13    Waiting                                                      Blocked
32    Done        number
33    Found       fields, lease_s
34    Nothing
35    Refused     reason                                           (any request may be refused)
36    Listed      tuples, total
37    Blocked     waiters, total
====  ==========  ===============================================  ===================================

Fields and templates are arrays of values as `values` writes them. Space 0 is the universe, which is always
there. Transaction 0 is none; another number, chosen by the client, opens a transaction of its connection
when first used; what takes no transaction is never part of one. ``wait_s`` is None for ever, 0 for not at
all (``inp``, ``rdp``). ``lease_s`` is None for ever; a Found has what is left of it for a tuple that was
taken, or that the transaction itself has put.

This module does no I/O and keeps no state.

Source: ch. 2, Shared data spaces; D. Gelernter, 1985; for ``copy_collect`` A. Rowstron and A. Wood, 1996; for
transactions, leases and notification JavaSpaces (E. Freeman et al., 1999).
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

import msgspec

from dslab.kit.errors import PeerViolation
from dslab.linda.values import FieldError, Fields, from_wire, show

VERSION: Final = 1
UNIVERSE: Final = 0
LENGTH: Final = struct.Struct("!I")
DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_REQUEST_BYTES = DEFAULT_MAX_MESSAGE_BYTES - 32
"""Of what clients send. The rest is for a taker that puts the tuple back: the number of its request, and what
is left of the lease, may take more room."""

DEFAULT_ADDRESS = "127.0.0.1:7070"


class MalformedMessage(PeerViolation):
    """The bytes are no message of this protocol."""


class _Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    request: int


class Hello(_Message, frozen=True, tag=1):
    """The first message of a connection."""

    version: int
    token: str


class Out(_Message, frozen=True, tag=2):
    """Put a tuple into a space; with a lease it goes by itself after ``lease_s``."""

    space: int
    fields: Fields
    lease_s: float | None = None
    transaction: int = 0


class In(_Message, frozen=True, tag=3):
    """Take a tuple that matches, waiting for one."""

    space: int
    template: Fields
    wait_s: float | None = None
    transaction: int = 0


class Rd(_Message, frozen=True, tag=4):
    """Read a tuple that matches, waiting for one, and leave it there."""

    space: int
    template: Fields
    wait_s: float | None = None
    transaction: int = 0


class Count(_Message, frozen=True, tag=5):
    """How many tuples match?"""

    space: int
    template: Fields
    transaction: int = 0


class Collect(_Message, frozen=True, tag=6):
    """Copy every tuple that matches to another space; with ``take``, move it."""

    source: int
    target: int
    template: Fields
    take: bool
    transaction: int = 0


class NewSpace(_Message, frozen=True, tag=7):
    """Make a tuple space."""


class Commit(_Message, frozen=True, tag=8):
    """End a transaction: everything in it happens, at once."""

    transaction: int


class Abort(_Message, frozen=True, tag=9):
    """End a transaction: nothing in it has happened, and what waits in it is answered with Nothing."""

    transaction: int


class Notify(_Message, frozen=True, tag=10):
    """Send me every tuple that matches, from now on, as it is put (or comes back)."""

    space: int
    template: Fields


class Cancel(_Message, frozen=True, tag=11):
    """Wait no longer for the request ``which``."""

    which: int


class List(_Message, frozen=True, tag=12):
    """Show me ``most`` of the tuples that match."""

    space: int
    template: Fields
    most: int


class Waiting(_Message, frozen=True, tag=13):
    """Who is blocked, on what, since when, and which tuples come near?"""


class Done(_Message, frozen=True, tag=32):
    """It happened."""

    number: int = 0


class Found(_Message, frozen=True, tag=33):
    """A tuple that matches; if it was taken, or is the transaction's own, with what is left of its lease."""

    fields: Fields
    lease_s: float | None = None


class Nothing(_Message, frozen=True, tag=34):
    """No tuple matched in the time given."""


class Refused(_Message, frozen=True, tag=35):
    """It did not happen, and never will like this."""

    reason: str


class Listed(_Message, frozen=True, tag=36):
    """Some of the tuples that match, and how many there are."""

    tuples: list[Fields]
    total: int


class WaitsFor(msgspec.Struct, frozen=True, array_like=True):
    """A blocked client: part of `Blocked`.

    Attributes:
        client: Where it connects from.
        verb: ``in`` or ``rd``.
        space: The space it looks into.
        template: What it waits for, as Python would write it.
        waited_s: For how long so far.
        nearest: What comes near, in words.
        left_s: For how long it will still wait; None for ever.
    """

    client: str
    verb: str
    space: int
    template: str
    waited_s: float
    nearest: str
    left_s: float | None = None


class Blocked(_Message, frozen=True, tag=37):
    """Who waits for what: the first comers; and how many there are, if that is known."""

    waiters: list[WaitsFor]
    total: int = 0


FromClient: TypeAlias = (
    Hello | Out | In | Rd | Count | Collect | NewSpace | Commit | Abort | Notify | Cancel | List | Waiting
)
FromServer: TypeAlias = Done | Found | Nothing | Refused | Listed | Blocked
Message: TypeAlias = FromClient | FromServer

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[FromClient] = msgspec.msgpack.Decoder(FromClient)
_replies: msgspec.msgpack.Decoder[FromServer] = msgspec.msgpack.Decoder(FromServer)


def encode(message: Message) -> bytes:
    """Marshal a message, its length before it."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


def encode_request(message: FromClient) -> bytes:
    """Marshal a request, its length before it.

    Raises:
        FieldError: It is longer than a server takes, or names a space by a number that is too long.
    """
    try:
        body = _encoder.encode(message)
    except OverflowError as error:
        raise FieldError("No tuple space has a number of more than 64 bits.") from error
    if len(body) > MAX_REQUEST_BYTES:
        raise FieldError(
            f"The tuple takes {len(body):,} bytes: at most {MAX_REQUEST_BYTES:,} travel.",
            remedy="Put it in parts.",
        )
    return LENGTH.pack(len(body)) + body


def append(message: Message, data: bytearray) -> None:
    """Marshal a message at the end of others, with nothing in between that is thrown away."""
    start = len(data)
    _encoder.encode_into(message, data, start + LENGTH.size)
    LENGTH.pack_into(data, start, len(data) - start - LENGTH.size)


def decode_request(body: bytes | memoryview) -> FromClient:
    """Unmarshal what a client sent, without its length.

    Raises:
        MalformedMessage: It is no request.
    """
    try:
        return _requests.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"No request: {error}.") from error


def decode_reply(body: bytes | memoryview) -> FromServer:
    """Unmarshal what a server sent, without its length.

    Raises:
        MalformedMessage: It is no reply.
    """
    try:
        return _replies.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise MalformedMessage(f"No reply: {error}.") from error


def frames(buffer: bytes | memoryview) -> int | None:
    """Say how long the first whole message in a buffer is, its length included; None while it is incomplete.

    Raises:
        ValueError: The buffer does not start with a message that anybody would take.
    """
    if len(buffer) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(buffer)
    if length > DEFAULT_MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {length} bytes is announced")
    end = LENGTH.size + int(length)
    return end if len(buffer) >= end else None


def describe(data: bytes) -> str:
    """Label a message for a picture: ``in ('task', int) #7``."""
    body = data[LENGTH.size :]
    try:
        message: Message = _requests.decode(body)
    except msgspec.MsgspecError:
        message = decode_reply(body)
    return f"{type(message).__name__.lower()} {_describe_content(message)}#{message.request}"


def _describe_content(message: Message) -> str:
    try:
        match message:
            case Out(fields=fields) | Found(fields=fields):
                return show(from_wire(fields)) + " "
            case In() | Rd() | Count() | Collect() | Notify() | List():
                return show(from_wire(message.template, template=True)) + " "
            case Refused(reason=reason):
                return reason + " "
            case _:
                return ""
    except FieldError:
        return "(malformed) "
