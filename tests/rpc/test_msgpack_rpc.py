"""MessagePack-RPC: where messages end, what is written and read; the inbox that cuts them out of a stream."""

from __future__ import annotations

import datetime
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.rpc import wire
from dslab.rpc.errors import BadArguments, DoesNotTravel, Fault, MalformedCall, ReplyUnfit
from dslab.rpc.inbox import PIECE_BYTES, TRUSTED_BYTES, Inbox
from dslab.rpc.json_rpc import JsonCodec
from dslab.rpc.messages import (
    EXTENSION_REF,
    Batch,
    Codec,
    Context,
    Invalid,
    MalformedMessage,
    Message,
    MessageTooLong,
    Notification,
    Request,
    Response,
    by_value_only,
)
from dslab.rpc.msgpack_rpc import MsgpackCodec, Scanner

CODEC = MsgpackCodec()

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=70_000),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
    max_leaves=30,
)
MESSAGES: list[Any] = [
    Request(1, "add", [1, 2]),
    Request(2**32 - 1, "add", {"a": 1}),
    Request(7, "add", [], Context(2**62, 3, 2, 1.5)),
    Response(1, None, {"a": [1.5, None]}),
    Response(1, [-32000, "no", None], None),
    Notification("log", ["x", b"y"]),
]


@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_the_scanner_finds_the_end_of_any_value_however_it_comes_in_pieces(
    parts: list[Any], data: Any
) -> None:
    encoded = [msgspec.msgpack.encode(part) for part in parts]
    stream = b"".join(encoded)
    scanner, start, found, have = Scanner(), 0, [], 0
    while start < len(stream):
        have = min(len(stream), max(have, data.draw(st.integers(have, len(stream)))))
        length = scanner.find_end(stream, start, have)
        if length:
            found.append(stream[start : start + length])
            start += length
        else:
            assert start + scanner.needed <= len(stream) + 1
            have += 1
    assert found == encoded


def test_every_first_byte_is_known_to_the_scanner() -> None:
    extensions = [msgspec.msgpack.Ext(5, b"x" * size) for size in (1, 2, 4, 8, 16, 3, 300, 70_000)]
    for value in (
        *extensions,
        [None] * 70_000,
        dict.fromkeys(range(70_000)),
        "x" * 70_000,
        datetime.datetime.now(datetime.UTC),
    ):
        encoded = msgspec.msgpack.encode(value)
        assert Scanner().find_end(encoded, 0, len(encoded)) == len(encoded)
        assert Scanner().find_end(encoded, 0, len(encoded) - 1) == 0


@pytest.mark.parametrize(
    "announced",
    [
        b"\xdb\x7f\xff\xff\xff",
        b"\xc6\x7f\xff\xff\xff",
        b"\xdd\x7f\xff\xff\xff",
        b"\xdf\x7f\xff\xff\xff",
        b"\xc9\x7f\xff\xff\xff\x01",
    ],
)
def test_what_is_announced_too_long_is_refused_before_it_comes(announced: bytes) -> None:
    with pytest.raises(MessageTooLong):
        Scanner(1_000).find_end(announced, 0, len(announced))


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_what_is_written_is_read(message: Any) -> None:
    assert CODEC.decode(CODEC.encode(message)) == message


def test_an_error_travels_as_an_array_that_editors_understand() -> None:
    encoded = CODEC.encode(Response(1, Fault(-32601, "Method not found")))
    assert msgspec.msgpack.decode(encoded) == [1, 1, [-32601, "Method not found", None], None]
    assert msgspec.msgpack.decode(CODEC.encode(Invalid(1, Fault(1, "x")))) == [1, 1, [1, "x", None], None]


def test_a_plain_request_has_no_fifth_element() -> None:
    assert msgspec.msgpack.decode(CODEC.encode(Request(1, "add", [1]))) == [0, 1, "add", [1]]


@pytest.mark.parametrize("value", [object(), 2**64, {1j: 1}], ids=["an object", "2**64", "a complex key"])
def test_what_does_not_travel_is_said(value: Any) -> None:
    with pytest.raises(DoesNotTravel):
        CODEC.encode(Request(1, "add", [value]))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01\x02", b"\x94\x09\x01\xa1a\x90", b"\x91" * 100_000])
def test_what_is_no_message_is_said(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CODEC.decode(data)


# ---- the inbox


@pytest.mark.parametrize("codec", [CODEC, JsonCodec()], ids=["msgpack", "json"])
@pytest.mark.parametrize("seed", range(5))
def test_messages_come_out_of_a_stream_as_they_went_in(codec: Codec, seed: int) -> None:
    rng = random.Random(seed)
    sizes = [rng.choice([0, 1, 100, 60_000, 70_000, 3_000_000]) for _ in range(30)]
    messages = [Request(number, "echo", ["x" * size]) for number, size in enumerate(sizes)]
    stream = b"".join(map(codec.encode, messages))
    inbox, read, at = Inbox(codec), [], 0
    while at < len(stream):
        buffer = inbox.get_buffer()
        assert len(buffer) > 0
        count = min(len(buffer), len(stream) - at, rng.choice([1, 7, 1_000, 100_000, 10_000_000]))
        buffer[:count] = stream[at : at + count]
        at += count
        read += inbox.received(count)
    assert read == messages
    assert inbox.waiting_bytes == 0
    last = codec.encode(Request(0, "short", []))
    inbox.get_buffer()[: len(last)] = last
    assert len(inbox.received(len(last))) == 1
    assert len(inbox.get_buffer()) == PIECE_BYTES


def test_an_announcement_alone_gets_no_memory() -> None:
    inbox = Inbox(CODEC, max_message_bytes=1_000_000_000)
    head = b"\x94\x00\x01\xa3add\x91\xc6\x30\x00\x00\x00"
    inbox.get_buffer()[: len(head)] = head
    assert inbox.received(len(head)) == []
    assert len(inbox.get_buffer()) <= TRUSTED_BYTES


@pytest.mark.parametrize("codec", [CODEC, JsonCodec()], ids=["msgpack", "json"])
def test_what_came_before_bad_bytes_is_read(codec: Codec) -> None:
    inbox = Inbox(codec, max_message_bytes=1_000)
    data = codec.encode(Request(1, "a", [])) + (b"\xdb\xff\xff\xff\xff" if codec is CODEC else b"x" * 2_000)
    inbox.get_buffer()[: len(data)] = data
    assert inbox.received(len(data)) == [Request(1, "a", [])]
    assert isinstance(inbox.failure, MessageTooLong)
    assert inbox.received(0) == []


def test_pieces_of_one_message_and_of_several_may_alternate() -> None:
    inbox = Inbox(CODEC)
    one, two, three = (CODEC.encode(Request(number, "echo", ["x"])) for number in (1, 2, 3))
    pieces = [one, one, one + two, two, one[:5], one[5:] + two + three[:3], three[3:], one]
    read = []
    for piece in pieces:
        inbox.get_buffer()[: len(piece)] = piece
        read.append([message.id for message in inbox.received(len(piece)) if isinstance(message, Request)])
    assert read == [[1], [1], [1, 2], [2], [], [1, 2], [3], [1]]


@pytest.mark.parametrize("row", [
    [Request(1, "a", ["x"]), Request(2, "b", [])],
    [Request(1, "a", [b"\x94\x00\x94\x00"]), Request(0x9400, "b", [])],  # looks like more than it is
    [Request(1, "a", []), Notification("b", []), Response(3, None, 4)],
    [Request(1, "a", [], Context(5, 6, 7, 0.5)), Request(2, "b", [])],
    [Request(1, "a", []), Invalid(2, MalformedCall("No request").to_fault()), Request(3, "c", [])],
])  # fmt: skip
@pytest.mark.parametrize("waits", [False, True], ids=["alone", "after a beginning"])
def test_a_row_of_messages_that_comes_in_one_piece_is_read(row: list[Message], waits: bool) -> None:
    parts = [CODEC.encode(each) if type(each) is not Invalid else b"\x93\x00\x02\xa1b" for each in row]
    inbox, data = Inbox(CODEC), b"".join(parts)
    read: list[Message] = []
    for piece in (data[:3], data[3:], data) if waits else (data, data):
        inbox.get_buffer()[: len(piece)] = piece
        read += inbox.received(len(piece))
    assert [message if type(message) is not Invalid else message.id for message in read] == 2 * [
        message if type(message) is not Invalid else message.id for message in row
    ]
    assert inbox.waiting_bytes == 0


def test_what_does_not_travel_leaves_a_buffer_as_it_was() -> None:
    buffer = bytearray(b"before")
    for message in (Response(1, None, ["x" * 100, object()]), Batch([Response(1), Response(2, None, 2**70)])):
        with pytest.raises(DoesNotTravel):
            CODEC.write(message, buffer)
        assert buffer == b"before"


def test_a_message_that_is_too_long_is_refused_even_if_it_is_there() -> None:
    inbox = Inbox(CODEC, max_message_bytes=100)
    data = CODEC.encode(Request(1, "echo", ["x" * 100]))
    inbox.get_buffer()[: len(data)] = data
    assert inbox.received(len(data)) == []
    assert isinstance(inbox.failure, MessageTooLong)


# ---- for links and pictures


@pytest.mark.parametrize("codec", [CODEC, JsonCodec()], ids=["msgpack", "json"])
def test_links_find_messages_of_every_codec(codec: Codec) -> None:
    data = codec.encode(Request(7, "add", [1, 2]))
    assert wire.frames(data + b"{") == len(data)
    assert wire.frames(data[:-1]) is None
    assert wire.frames(b"") is None
    assert wire.frames(memoryview(data)) == len(data)


def test_links_find_messages_of_http() -> None:
    body = JsonCodec().encode(Request(7, "add", [1, 2]))
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert wire.frames(post + post) == len(post)
    assert wire.frames(post[:-1]) is None
    assert wire.describe(post) == "POST add(1, 2) #7"
    assert wire.describe(b"HTTP/1.1 204 No Content\r\n\r\n") == "HTTP/1.1 204 No Content"


def test_links_take_no_nonsense_for_messages() -> None:
    with pytest.raises(ValueError, match="begin"):
        wire.frames(b"\x00\x01")


@pytest.mark.parametrize("codec", [CODEC, JsonCodec()], ids=["msgpack", "json"])
@pytest.mark.parametrize(
    ("message", "label"),
    [
        (Request(7, "add", [1, "x"]), "add(1, 'x') #7"),
        (Request(7, "add", {"a": 1}), "add(a=1) #7"),
        (Request(7, "add", [], Context(1_234, 5, 4)), "add() #7 call ..234/5 ack 4"),
        (Response(7, None, [3]), "#7 -> [3]"),
        (Response(7, Fault(-32601, "Method not found")), "#7 -> error: Method not found"),
        (Notification("log", ["x"]), "log('x') one-way"),
    ],
)
def test_what_a_picture_says(codec: Codec, message: Any, label: str) -> None:
    assert wire.describe(codec.encode(message)) == label


def test_what_a_picture_says_of_a_batch_and_of_steps() -> None:
    batch = JsonCodec().encode(Batch([Request(1, "a", []), Notification("b", [])]))
    assert wire.describe(batch) == "[a() #1, b() one-way]"
    assert wire.describe_steps(CODEC.encode(Request(7, "add", [1]))) == "3 add(1) #7"
    assert wire.describe_steps(CODEC.encode(Response(7, None, 1))) == "8 #7 -> 1"


@pytest.mark.parametrize("fifth", [{"trace": "abc"}, "trace", 7, ["a", "trace"]])
def test_a_fifth_element_that_is_not_ours_is_ignored(fifth: Any) -> None:
    data = msgspec.msgpack.encode([0, 1, "add", [1, 2], fifth])
    assert CODEC.decode(data) == Request(1, "add", [1, 2])


def test_a_reference_that_cannot_be_used_is_the_fault_of_its_call_alone() -> None:
    codec = MsgpackCodec(unmarshal=by_value_only)
    reference = msgspec.msgpack.Ext(EXTENSION_REF, msgspec.msgpack.encode(["elsewhere", 99_999, 1, "x"]))

    def decoded(*fields: Any) -> Any:
        data = msgspec.msgpack.encode(fields)
        assert codec.decode_alone(data) is None
        return codec.decode(data)

    refused = decoded(0, 1, "add", [reference])
    assert isinstance(refused, Invalid)
    assert (refused.id, refused.fault.code) == (1, BadArguments.code)
    assert decoded(2, "add", [reference]) == Batch([])
    reply = decoded(1, 1, None, reference)
    assert (reply.id, reply.error["code"]) == (1, ReplyUnfit.code)


@pytest.mark.parametrize("before", [b" ", b"\t", b"\r", b"\n"])
def test_what_a_picture_says_of_a_line_that_begins_with_a_blank(before: bytes) -> None:
    line = before + JsonCodec().encode(Request(1, "a", []))
    assert wire.describe(line) == "a() #1"


def test_a_picture_has_a_label_for_an_error_that_is_of_no_known_type() -> None:
    reply = msgspec.msgpack.encode([1, 7, msgspec.msgpack.Ext(5, b"x"), None])
    assert wire.describe(reply).startswith("#7 -> error: ")


def test_several_messages_in_a_datagram_are_a_batch_in_which_each_is_answered_for_itself() -> None:
    codec = MsgpackCodec()
    first, last = codec.encode(Request(1, "a", [])), codec.encode(Notification("b", []))
    invalid = msgspec.msgpack.encode([0, 2, None, None])
    batch = codec.decode(first + invalid + last)
    assert isinstance(batch, Batch)
    assert [type(each) for each in batch.messages] == [Request, Invalid, Notification]
    for malformed in (first + b"\x07", first + last[:-1], first + b"\xdd\xff\xff\xff\xff"):
        with pytest.raises(MalformedMessage):
            codec.decode(malformed)
