from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.echo.messages import (
    DEFAULT_MAX_MESSAGE_BYTES,
    MAX_DATAGRAM_BYTES,
    Datagram,
    MalformedDatagram,
    Reply,
    Request,
    decode_datagram,
    describe_datagram,
    describe_message,
    encode_datagram,
    frame,
    frames,
)
from dslab.kit.errors import UsageError

ids = st.integers(0, 2**64 - 1)
payloads = st.binary(max_size=200)
datagrams = st.builds(Request, ids, payloads) | st.builds(Reply, ids, payloads)


def test_frame_is_as_the_table_says() -> None:
    assert frame(b"Hello World") == b"\x00\x00\x00\x0bHello World"
    assert frame(b"") == bytes(4)


def test_datagram_is_as_the_table_says() -> None:
    assert encode_datagram(Request(258, b"Hi")) == b"\0\0\0\0\0\0\x01\x02" + b"\x01" + b"Hi"
    assert encode_datagram(Reply(258, b"Hi*")) == b"\0\0\0\0\0\0\x01\x02" + b"\x02" + b"Hi*"


@given(datagrams)
def test_datagrams_come_back_as_they_were(datagram: Datagram) -> None:
    assert decode_datagram(encode_datagram(datagram)) == datagram


@given(st.binary(max_size=30))
def test_any_bytes_are_a_datagram_or_malformed(data: bytes) -> None:
    try:
        assert encode_datagram(decode_datagram(data)) == data
    except MalformedDatagram:
        assert len(data) < 9 or data[8] not in {1, 2}


def test_datagram_too_long_to_send() -> None:
    assert len(encode_datagram(Request(1, bytes(MAX_DATAGRAM_BYTES - 9)))) == MAX_DATAGRAM_BYTES
    with pytest.raises(UsageError, match="at most 65498"):
        encode_datagram(Request(1, bytes(MAX_DATAGRAM_BYTES - 8)))


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_frames_finds_the_first_message(message: bytes, more: bytes) -> None:
    framed = frame(message)
    assert frames(framed + more) == len(framed)
    assert frames(memoryview(framed)) == len(framed)
    assert all(frames(framed[:cut]) is None for cut in range(len(framed)))


def test_frames_refuses_what_can_be_no_message() -> None:
    assert frames(struct.pack("!I", DEFAULT_MAX_MESSAGE_BYTES + 1)) is None  # the longest reply
    with pytest.raises(ValueError, match="announced"):
        frames(struct.pack("!I", DEFAULT_MAX_MESSAGE_BYTES + 2))


def test_labels() -> None:
    assert describe_message(frame(b"Hello World")) == "11 bytes 'Hello World'"
    assert describe_message(frame(bytes(100))).endswith("00...")
    assert describe_message(b"half a message that is not framed") == "'half a message that is n'..."
    assert describe_message(b"\xff\x00") == "ff 00"
    assert describe_datagram(encode_datagram(Request(0xABC3F2A, b"Hi"))) == "request ..3f2a 'Hi'"
    assert describe_datagram(encode_datagram(Reply(1, b"Hi*"))) == "reply ..0001 'Hi*'"
