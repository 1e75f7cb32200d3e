"""MessagePack-RPC: binary, compact, and without a length before the message.

A MessagePack value says by its first byte what it is, and how long, or how many values follow. So a stream
of messages needs no frames: `Scanner` finds the end of a value by counting how many values are still to
come. It follows no nesting, so a message nested a million times deep costs it nothing. The bytes are::

    00-7f e0-ff  a small integer                    c4-c6  bytes, their length in 1, 2, 4 bytes
    80-8f        a map of 0-15 pairs                c7-c9  an extension, likewise; then its type
    90-9f        an array of 0-15 values            ca cb  a float of 4, 8 bytes
    a0-bf        a string of 0-31 bytes             cc-d3  an integer of 1, 2, 4, 8 bytes
    c0 c2 c3     null, false, true                  d4-d8  an extension of 1, 2, 4, 8, 16 bytes
    c1           (never used)                       d9-df  string, array, map; length in 1, 2, 4 bytes

An error is an array, ``[code, message, data]``, whose first two are what editors' clients expect. Every
number is big-endian, on any machine. `messages` has the four messages. What begins as a request but is
none, or has a reference in it that cannot be used here, is answered with an error; after any other bytes
that are no message, no other is looked for.

No I/O here, and no state but a scanner's.

Source: ch. 4, Parameter passing (marshaling). github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.msgpack import Decoder, Encoder, Ext
from msgspec.structs import astuple

from dslab.kit.errors import UsageError
from dslab.rpc.errors import DoesNotTravel, Fault, MalformedCall
from dslab.rpc.messages import (
    DEFAULT_MAX_MESSAGE_BYTES,
    EXTENSION_REF,
    Batch,
    Buffer,
    Codec,
    Invalid,
    MalformedMessage,
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

_Plain = Request | Response | Notification
_REQUEST = 0
_HEAD_BYTES = 2  # how many elements, and which of the messages: alike at the front of all in most runs
_ARRAY32 = b"\xdd"
_UNWRITABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_UNREADABLE = (TypeError, ValueError, RecursionError, msgspec.MsgspecError)


def _sizes() -> tuple[list[int], list[int], dict[int, tuple[int, int, int]]]:
    """Give, by first byte: the size of a value, how many values follow it, and where its length stands.

    The last is ``{first byte: (bytes of length, bytes besides, values per unit of length)}``; such a value
    has the size 0 in the first list.
    """
    sizes, follow = [1] * 256, [0] * 256
    for number in range(16):
        follow[0x80 + number], follow[0x90 + number] = 2 * number, number
    for number in range(32):
        sizes[0xA0 + number] = 1 + number
    fixed = {0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9,
             0xD4: 3, 0xD5: 4, 0xD6: 6, 0xD7: 10, 0xD8: 18}  # fmt: skip
    lengths = {0xC4: (1, 2, 0), 0xC5: (2, 3, 0), 0xC6: (4, 5, 0), 0xC7: (1, 3, 0), 0xC8: (2, 4, 0),
               0xC9: (4, 6, 0), 0xD9: (1, 2, 0), 0xDA: (2, 3, 0), 0xDB: (4, 5, 0),
               0xDC: (2, 3, 1), 0xDD: (4, 5, 1), 0xDE: (2, 3, 2), 0xDF: (4, 5, 2)}  # fmt: skip
    for first, size in fixed.items():
        sizes[first] = size
    for first in lengths:
        sizes[first] = 0
    return sizes, follow, lengths


_SIZES, _FOLLOW, _LENGTHS = _sizes()


class Scanner:
    """Finds where the message that begins a buffer ends, and remembers how far it came.

    Args:
        max_message_bytes: The longest message that is taken.

    Attributes:
        needed: How many bytes must be there before it is worth to look again.
    """

    def __init__(self, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self.max_message_bytes = max_message_bytes
        self.needed = 1
        self._at = 0  # where the next value begins, counted from the message's first byte
        self._values = 1  # that are still to come

    def find_end(self, buffer: Buffer, start: int, end: int) -> int:
        """Look at ``buffer[start:end]``, where the message begins: its length once it is whole, else 0.

        Raises:
            MessageTooLong: It will be longer than is taken.
        """
        at, values = start + self._at, self._values
        while values and at < end:
            first = buffer[at]
            size = _SIZES[first]
            if size:
                at += size
                values += _FOLLOW[first] - 1
                continue
            length_bytes, besides, values_each = _LENGTHS[first]
            begin = at + 1
            if begin + length_bytes > end:
                break
            length = int.from_bytes(buffer[begin : begin + length_bytes], "big")
            at += besides if values_each else besides + length
            values += length * values_each - 1
        return self._found(at - start, values, end - start)

    def _found(self, at: int, values: int, have: int) -> int:
        least = at + values  # a value that is still to come has a byte at least
        if least > self.max_message_bytes:
            raise MessageTooLong(f"A message of {least:,} bytes is announced.")
        if least <= have and not values:
            self._at, self._values, self.needed = 0, 1, 1
            return at
        self._at, self._values, self.needed = at, values, max(least, have + 1)
        return 0


def _row(data: Buffer) -> list[memoryview]:
    """Cut what is several messages in a row; of anything else, which may not even be one, nothing comes."""
    view, scanner, row, start = memoryview(data), Scanner(len(data)), [], 0
    while start < len(view):
        try:
            length = scanner.find_end(view, start, len(view))
        except MessageTooLong:
            return []
        if not length:
            return []
        row.append(view[start : start + length])
        start += length
    return row


def _written(message: Message) -> Any:
    """Give what the encoder writes for a message: mostly the message itself."""
    if type(message) is Response:
        return message if type(message.error) is not Fault else Response(message.id, astuple(message.error))
    if type(message) is Request and message.context is None:
        return (_REQUEST, message.id, message.method, message.params)
    return Response(message.id, astuple(message.fault)) if type(message) is Invalid else message


class MsgpackCodec(Codec):
    """Writes and reads messages.

    Args:
        marshal: Makes a reference of an object that does not travel by value.
        unmarshal: Makes of a reference what can be used.
    """

    name = "msgpack"

    def __init__(self, marshal: Marshal = by_value_only, unmarshal: Unmarshal = same) -> None:
        self._marshal = marshal
        self._unmarshal = unmarshal
        self._encoder = Encoder(enc_hook=self._to_extension)
        self._decoder: Decoder[_Plain] = Decoder(_Plain, ext_hook=self._from_extension)
        self._run: Decoder[list[_Plain]] = Decoder(list[_Plain], ext_hook=self._from_extension)
        self._any = Decoder(ext_hook=self._from_extension)
        self._bare: Decoder[_Plain] = Decoder(_Plain)

    def encode(self, message: Message) -> bytes:
        """Marshal a message.

        Raises:
            DoesNotTravel: There is a value in it that cannot be written.
        """
        if type(message) is Batch:
            buffer = bytearray()
            self.write(message, buffer)
            return bytes(buffer)
        try:
            return self._encoder.encode(_written(message))
        except _UNWRITABLE as error:
            raise DoesNotTravel(f"MessagePack cannot carry it: {error}.") from error

    def write(self, message: Message, buffer: bytearray) -> None:
        """Marshal a message at the end of a buffer, and right there."""
        before = len(buffer)
        try:
            for part in message.messages if type(message) is Batch else (message,):
                self._encoder.encode_into(_written(part), buffer, -1)
        except Exception as error:
            del buffer[before:]
            if not isinstance(error, _UNWRITABLE):
                raise
            raise DoesNotTravel(f"MessagePack cannot carry it: {error}.") from error

    def decode(self, data: Buffer) -> Message:
        """Unmarshal a message; or, of several in a row, as a datagram may bring them, a batch.

        Raises:
            MalformedMessage: It is none.
        """
        try:
            return self._decoder.decode(data)
        except _UNREADABLE as error:
            row = _row(data)
            return Batch([self.decode(each) for each in row]) if len(row) > 1 else self._explain(data, error)

    def decode_alone(self, data: Buffer) -> Message | None:
        """Unmarshal what may be one message, and nothing else; None if it is not."""
        try:
            return self._decoder.decode(data)
        except _UNREADABLE:
            return None

    def decode_run(self, data: bytearray) -> list[Message] | None:
        """Unmarshal what may be several messages, whole, and nothing else; None if it is not.

        In MessagePack, messages in a row are what an array is without its header. How many there are is
        guessed: as often as the first one's head is met. If they are not so many, this is no such array.
        """
        count = data.count(data[:_HEAD_BYTES])
        try:
            return self._run.decode(_ARRAY32 + count.to_bytes(4, "big") + data)  # type: ignore[return-value]
        except _UNREADABLE:
            return None

    def scanner(self, max_message_bytes: int) -> Scanner:
        """Give what finds the ends of messages in one stream."""
        return Scanner(max_message_bytes)

    def freeze(self, value: Any) -> msgspec.Raw:
        """Marshal a value now, so that it can be sent later, and again, as it is now."""
        try:
            return msgspec.Raw(self._encoder.encode(astuple(value) if type(value) is Fault else value))
        except _UNWRITABLE as error:
            raise DoesNotTravel(f"MessagePack cannot carry it: {error}.") from error

    def _explain(self, data: Buffer, error: Exception) -> Message:
        """Answer a request that is wrong but for its id; give up on anything else.

        MessagePack once had no type for text, and there are peers that still send names as bytes. A fifth
        element that is not as ours is somebody else's, and ignored.
        """
        try:
            if isinstance(error.__cause__, UsageError):
                return without_reference(self._bare.decode(data), error.__cause__.message)
            match self._any.decode(data):
                case [0, int(number), bytes(method), list(params)]:
                    return Request(number, method.decode(), params)
                case [2, bytes(method), list(params)]:
                    return Notification(method.decode(), params)
                case [0, int(number), str(method), list() | dict() as params, *_]:
                    return Request(number, method, params)
                case [0, int(number), *_]:
                    return Invalid(number, MalformedCall(f"No request: {error}").to_fault())
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
        raise MalformedMessage(f"No message: {error}.") from error

    def _to_extension(self, value: Any) -> Ext:
        return Ext(EXTENSION_REF, self._encoder.encode(self._marshal(value)))

    def _from_extension(self, code: int, data: memoryview) -> Any:
        if code != EXTENSION_REF:
            return Ext(code, bytes(data))
        reference = msgspec.msgpack.decode(data, type=RefData)
        try:
            return self._unmarshal(reference)
        except UsageError as error:
            raise ValueError(error.message) from error
