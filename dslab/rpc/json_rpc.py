"""JSON-RPC 2.0: text that a person can read, and any language can write.

Over TCP a message is a line: UTF-8, ended by a newline. Over HTTP it is the body of a POST, over UDP a
datagram. `messages` has the objects; this module has the standard's rules about them:

- A request without the member ``id`` is a notification, and has no answer, not even an error.
- What is no JSON is answered with -32700 and the id null; what is JSON but no request, with -32600.
- An array is a batch. What is wrong in it is answered one by one; an empty one as a whole.
- A request with a reference that cannot be used here is answered with -32602.

JSON has less than Python: ``bytes`` arrive as Base64 text, a tuple as a list, a map's keys as text, NaN as
null. A receiver cannot see that: the price of a format that names no types.

No I/O here, and no state but a scanner's.

Source: ch. 4, Parameter passing (marshaling). www.jsonrpc.org/specification.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.json import Decoder, Encoder

from dslab.kit.errors import UsageError
from dslab.rpc.errors import DoesNotTravel, MalformedCall, ParseError
from dslab.rpc.messages import (
    DEFAULT_MAX_MESSAGE_BYTES,
    MEMBER_REF,
    Batch,
    Buffer,
    Codec,
    Context,
    Id,
    Invalid,
    Marshal,
    Message,
    MessageTooLong,
    Notification,
    RefData,
    Request,
    Response,
    Unmarshal,
    by_value_only,
    same,
    without_reference,
)

VERSION = "2.0"
MAX_BATCH = 10_000
_NEWLINE = b"\n"
_NAMES = ("session", "number", "acknowledged", "timeout_s")


class Scanner:
    """Finds where the line that begins a buffer ends, and remembers how far it looked."""

    def __init__(self, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self.max_message_bytes = max_message_bytes
        self.needed = 1
        self._seen = 0

    def find_end(self, buffer: Buffer, start: int, end: int) -> int:
        """Look at ``buffer[start:end]``: the length of its first line, newline included, or 0.

        Raises:
            MessageTooLong: There are too many bytes already and no end.
        """
        have = end - start
        found = _find_newline(buffer, start + self._seen, end)
        length = found + 1 - start if found >= 0 else 0
        if max(length, have if not length else 0) > self.max_message_bytes:
            raise MessageTooLong(f"A line of more than {self.max_message_bytes:,} bytes is no message.")
        self._seen = 0 if length else have
        self.needed = 1 if length else have + 1
        return length


class JsonCodec(Codec):
    """Writes and reads messages. Arguments as `msgpack_rpc.MsgpackCodec`'s."""

    name = "json"

    def __init__(self, marshal: Marshal = by_value_only, unmarshal: Unmarshal = same) -> None:
        self._marshal = marshal
        self._unmarshal = unmarshal
        self._encoder = Encoder(enc_hook=self._to_member)
        self._decode = Decoder().decode

    def encode(self, message: Message) -> bytes:
        """Marshal a message into a line.

        Raises:
            DoesNotTravel: There is a value in it that cannot be written.
        """
        return self._write(_to_json(message)) + _NEWLINE

    def decode(self, data: Buffer) -> Message:
        """Unmarshal a line. It gives an `Invalid` for what is no message: that has an answer."""
        try:
            value = self._decode(data)
            read = self._read_with_references if MEMBER_REF.encode() in bytes(data) else _from_json
            return _batch(value, read) if type(value) is list else read(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Invalid(None, ParseError(ParseError.text).to_fault())

    def scanner(self, max_message_bytes: int) -> Scanner:
        """Give what finds the ends of lines in one stream."""
        return Scanner(max_message_bytes)

    def freeze(self, value: Any) -> msgspec.Raw:
        """Marshal a value now, so that it can be sent later, and again, as it is now."""
        return msgspec.Raw(self._write(value))

    def _write(self, value: Any) -> bytes:
        try:
            return self._encoder.encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
            raise DoesNotTravel(f"JSON cannot carry it: {error}.") from error

    def _to_member(self, value: Any) -> dict[str, Any]:
        return {MEMBER_REF: self._marshal(value)}

    def _read_with_references(self, value: Any) -> Message:
        try:
            return _from_json(self._with_references(value))
        except UsageError as error:
            return without_reference(_from_json(value), error.message)

    def _with_references(self, value: Any) -> Any:
        match value:
            case {"dslab.ref": [str(host), int(port), int(number), str(kind)]} if len(value) == 1:
                return self._unmarshal(RefData(host, port, number, kind))
            case dict():
                return {key: self._with_references(part) for key, part in value.items()}
            case list():
                return [self._with_references(part) for part in value]
            case _:
                return value


def _to_json(message: Message) -> Any:
    match message:
        case Request(id=number, method=method, params=params, context=context):
            body = {"jsonrpc": VERSION, "method": method, "params": params, "id": number}
            if context is not None:
                body["dslab"] = dict(zip(_NAMES, msgspec.structs.astuple(context), strict=True))
            return body
        case Response(id=number, error=None, result=result):
            return {"jsonrpc": VERSION, "result": result, "id": number}
        case Response(id=number, error=error) | Invalid(id=number, fault=error):
            return {"jsonrpc": VERSION, "error": error, "id": number}
        case Notification(method=method, params=params):
            return {"jsonrpc": VERSION, "method": method, "params": params}
        case Batch(messages=messages):
            return [_to_json(part) for part in messages]


def _batch(values: list[Any], read: Callable[[Any], Message]) -> Message:
    if not values or len(values) > MAX_BATCH:
        return _invalid(None)
    return Batch([read(value) for value in values])


def _from_json(value: Any) -> Request | Response | Notification | Invalid:
    """Tell requests from notifications from replies from nonsense."""
    number = value.get("id") if type(value) is dict else None
    if type(number) not in (int, str, float, type(None)):
        return _invalid(None)
    match value:
        case {"jsonrpc": "2.0", "method": str(method)} if type(value.get("params", [])) in (list, dict):
            params = value.get("params", [])
            if "id" not in value:
                return Notification(method, params)
            return Request(number, method, params, _context(value))
        case {"jsonrpc": "2.0", "result": result}:
            return Response(number, None, result)
        case {"jsonrpc": "2.0", "error": error} if error is not None:
            return Response(number, error)
        case _:
            return _invalid(number)


def _context(value: Any) -> Context | None:
    """Read the member "dslab"; one that is not as ours is somebody else's, and ignored."""
    match value.get("dslab"):
        case {"session": int(session), "number": int(number), "acknowledged": int(acknowledged)} as ours:
            timeout_s = ours.get("timeout_s")
            return Context(session, number, acknowledged, timeout_s if _is_number(timeout_s) else None)
        case _:
            return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _invalid(number: Id) -> Invalid:
    return Invalid(number, MalformedCall(MalformedCall.text).to_fault())


def _find_newline(buffer: Buffer, start: int, end: int) -> int:
    if isinstance(buffer, memoryview):  # it has no find
        found = bytes(buffer[start:end]).find(_NEWLINE)
        return start + found if found >= 0 else -1
    return buffer.find(_NEWLINE, start, end)
