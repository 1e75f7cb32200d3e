"""What travels: calls and their replies, in one model that both codecs write.

================  =============================  ====================================================
message           MessagePack-RPC (`packed`)     JSON-RPC 2.0 (`text`)
================  =============================  ====================================================
`Request`         [0, id, method, params]        {"jsonrpc": "2.0", "method", "params", "id"}
`Response`        [1, id, error, result]         {"jsonrpc": "2.0", "result" | "error", "id"}
`Notification`    [2, method, params]            {"jsonrpc": "2.0", "method", "params"}
`Batch`           (none: messages in a row)      [message, ...]
================  =============================  ====================================================

The id is the requester's: it pairs the reply with the request on this connection, nothing more. ``params`` is
an array, or a map of named arguments.

**What the standards lack** stands in one more place, which a plain peer ignores: a fifth element of the
array, a member "dslab" of the object. It is the `Context` of a call::

    MessagePack   [session, number, acknowledged, timeout_s]
    JSON          {"session", "number", "acknowledged", "timeout_s"}

    session       who calls, as the server named it; 0: nobody in particular
    number        the call's number in its session. Session and number are the *call identity*: however often
                  a call is sent, from whatever connection, they stay the same
    acknowledged  replies to calls below this number are not needed any more
    timeout_s     how many seconds the caller will still wait, as of sending; null: as long as it takes

It is sent to a server only that has said it understands it, by an answer to the request ``rpc.hello``. A
remote reference is a value: `RefData`, an extension of type 1 in MessagePack, ``{"dslab.ref": [host, port,
object, kind]}`` in JSON.

This module does no I/O and keeps no state.

Source: ch. 4, Remote procedure call. github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md;
www.jsonrpc.org/specification; for the context B. Nelson, "Remote Procedure Call", 1981 (call identifiers).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Protocol, TypeAlias

import msgspec

from dslab.kit.errors import Happened, PeerViolation
from dslab.rpc.errors import BadArguments, DoesNotTravel, Fault, ReplyUnfit

HELLO: Final = "rpc.hello"
RENEW: Final = "rpc.renew"
RELEASE: Final = "rpc.release"
"""Methods of the protocol itself: JSON-RPC 2.0 keeps names that begin with ``rpc.`` for such."""

EXTENSION_REF: Final = 1
MEMBER_REF: Final = "dslab.ref"

DEFAULT_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_DATAGRAM_BYTES = 65_507

Id: TypeAlias = int | str | float | None
Params: TypeAlias = list[Any] | dict[str, Any]


class Context(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The call identity and the deadline. Zero and None where not in use."""

    session: int = 0
    number: int = 0
    acknowledged: int = 0
    timeout_s: float | None = None


class Request(msgspec.Struct, frozen=True, array_like=True, tag=0, gc=False):
    """Execute this, and tell me what came of it."""

    id: Id
    method: str
    params: Params
    context: Context | None = None

    @property
    def identified(self) -> bool:
        """Has it a call identity, so that the server stub has to look whether it has come before?"""
        return self.context is not None and self.context.session != 0


class Response(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """What came of the request of that id: an error, or a result."""

    id: Id
    error: Any = None
    result: Any = None


class Notification(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """Execute this, and tell me nothing."""

    method: str
    params: Params


class Invalid(msgspec.Struct, frozen=True):
    """What came in place of a request: not a message, but it has an answer."""

    id: Id
    fault: Fault


class Batch(msgspec.Struct, frozen=True):
    """Several messages that travel as one; of none, nothing comes."""

    messages: list[Message]


def without_reference(message: Message, why: str) -> Message:
    """Give what is to be made of a message in which a reference stands that cannot be used here."""
    match message:
        case Request(id=number):
            return Invalid(number, BadArguments(why).to_fault())
        case Response(id=number):
            return Response(number, msgspec.to_builtins(ReplyUnfit(why).to_fault()))
        case _:
            return Batch([])  # a one-way call has no answer, not even this


class RefData(msgspec.Struct, frozen=True, array_like=True):
    """A remote reference as it travels.

    Attributes:
        host: Where the object is.
        port: Likewise.
        object: Its number there.
        kind: Its type's name, for people.
    """

    host: str
    port: int
    object: int
    kind: str


Message: TypeAlias = Request | Response | Notification | Invalid | Batch


class MalformedMessage(PeerViolation):
    """Bytes that are no message, and after which no other can be found.

    They say nothing of the calls under way: whoever sent them may never have understood one.
    """

    happened = Happened.UNKNOWN


class MessageTooLong(MalformedMessage):
    """A message is longer than the receiver is willing to hold."""


Buffer: TypeAlias = bytes | bytearray | memoryview
Marshal: TypeAlias = Callable[[Any], RefData]
Unmarshal: TypeAlias = Callable[[RefData], Any]


class Scanner(Protocol):
    """Finds where the message that begins a buffer ends, and remembers how far it came.

    Attributes:
        needed: How many bytes must be there before it is worth to look again.
    """

    needed: int

    def find_end(self, buffer: Buffer, start: int, end: int) -> int:
        """Look at ``buffer[start:end]``, where a message begins: its length once it is whole, else 0."""


class Codec(Protocol):
    """A representation of messages: `msgpack_rpc.MsgpackCodec`, `json_rpc.JsonCodec`."""

    name: ClassVar[str]

    def encode(self, message: Message) -> bytes:
        """Marshal a message. Raises `DoesNotTravel`."""

    def write(self, message: Message, buffer: bytearray) -> None:
        """Marshal a message at the end of a buffer, which stays as it was if that raises `DoesNotTravel`."""
        buffer += self.encode(message)

    def decode(self, data: Buffer) -> Message:
        """Unmarshal a message. Raises `MalformedMessage`."""

    def decode_alone(self, data: Buffer) -> Message | None:
        """Unmarshal what may be one message, where that is quicker than to look for its end before."""
        return None

    def decode_run(self, data: bytearray) -> list[Message] | None:
        """Unmarshal what may be several messages, where that is quicker than to look for their ends."""
        return None

    def scanner(self, max_message_bytes: int) -> Scanner:
        """Give what finds the ends of messages in one stream."""

    def freeze(self, value: Any) -> msgspec.Raw:
        """Marshal a value now, so that it can be sent later, and again, as it is now."""


def by_value_only(value: Any) -> RefData:
    """Refuse what does not travel by value: what a codec does that knows of no remote references."""
    remedy = "Give a number, text, bytes, list, map or dataclass; or pass it by reference."
    raise DoesNotTravel(f"A {type(value).__qualname__} does not travel.", remedy=remedy)


def same(reference: RefData) -> RefData:
    """Leave a reference as it came."""
    return reference
