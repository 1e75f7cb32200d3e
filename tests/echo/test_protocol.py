from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.echo.messages import (
    MAX_DATAGRAM_BYTES,
    MalformedDatagram,
    MessageTooLong,
    Reply,
    Request,
    StreamTruncated,
    decode_datagram,
    encode_datagram,
    frame,
)
from dslab.echo.protocol import EchoConversation, Framer, Requester, Responder
from dslab.kit.errors import Happened, PeerClosed, PeerSilent, PeerViolation

messages_lists = st.lists(st.binary(max_size=40), max_size=8)
cuts = st.lists(st.integers(0, 400), max_size=12)


def split(stream: bytes, at: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted(min(border, len(stream)) for border in at), len(stream)]
    return [stream[start:end] for start, end in pairwise(borders)]


def receive_all(framer: Framer, pieces: Iterable[bytes]) -> list[bytes]:
    return [message for piece in pieces for message in framer.receive_data(piece)]


@given(messages_lists, cuts)
def test_any_split_of_a_stream_gives_the_same_messages(messages: list[bytes], at: list[int]) -> None:
    framer = Framer()
    stream = b"".join(map(framer.send, messages))
    assert receive_all(framer, split(stream, at)) == messages
    framer.receive_end()


@given(messages_lists, cuts, st.integers(101, 2**32 - 1))
def test_too_long_a_prefix_is_an_error_after_the_good_messages(
    messages: list[bytes], at: list[int], announced: int
) -> None:
    framer = Framer(max_message_bytes=100)
    stream = b"".join(map(frame, messages)) + struct.pack("!I", announced) + b"junk"
    received = []
    with pytest.raises(MessageTooLong, match=str(announced)):
        for piece in split(stream, at):
            for message in framer.receive_data(piece):
                received.append(message)  # the error comes in the middle
    assert received == messages


@given(messages_lists, st.binary(min_size=1, max_size=40), st.data())
def test_end_inside_a_message_says_how_much_is_missing(
    messages: list[bytes], last: bytes, data: st.DataObject
) -> None:
    framer = Framer()
    missing = data.draw(st.integers(1, len(last)))
    assert receive_all(framer, [*map(frame, messages), frame(last)[:-missing]]) == messages
    with pytest.raises(StreamTruncated, match=f"ended {missing} bytes before the end of a message") as caught:
        framer.receive_end()
    assert isinstance(caught.value, PeerClosed)


def test_end_inside_a_prefix() -> None:
    framer = Framer()
    assert receive_all(framer, [b"\0\0"]) == []
    assert framer.missing_bytes == 2
    with pytest.raises(StreamTruncated, match="2 bytes before the end of a length prefix"):
        framer.receive_end()


def test_longest_message() -> None:
    framer = Framer(max_message_bytes=3)
    assert receive_all(framer, [frame(b"abc")]) == [b"abc"]
    with pytest.raises(PeerViolation):
        receive_all(framer, [frame(b"abcd")])


def test_missing_bytes_never_leads_beyond_a_message() -> None:
    framer = Framer()
    stream = frame(b"Hello") + frame(b"World")
    taken: list[bytes] = []
    while not taken:
        piece, stream = stream[: framer.missing_bytes], stream[framer.missing_bytes :]
        taken = receive_all(framer, [piece])
    assert (taken, stream) == ([b"Hello"], frame(b"World"))


def seconds_for(message_bytes: int, piece_bytes: int) -> float:
    stream = frame(bytes(message_bytes))
    pieces = [stream[start : start + piece_bytes] for start in range(0, len(stream), piece_bytes)]
    framer = Framer()
    began_s = time.process_time()
    assert len(receive_all(framer, pieces)) == 1
    return time.process_time() - began_s


@pytest.mark.parametrize(
    ("message_bytes", "piece_bytes", "limit_s"), [(1_000_000, 1, 5), (5_000_000, 1 << 16, 1)]
)
def test_time_grows_with_the_bytes_and_not_with_their_square(
    message_bytes: int, piece_bytes: int, limit_s: float
) -> None:
    # Quadratic work would copy 500 GB in the first case and 200 MB per megabyte in the second.
    assert seconds_for(message_bytes, piece_bytes) < limit_s


def test_many_small_messages_in_one_piece() -> None:
    assert len(receive_all(Framer(), [frame(b"x") * 200_000])) == 200_000


@given(messages_lists, cuts)
def test_framed_conversation_answers_each_message(messages: list[bytes], at: list[int]) -> None:
    conversation = EchoConversation("length")
    pieces = split(b"".join(map(frame, messages)), at)
    replies = b"".join(reply for piece in pieces for reply in conversation.receive_data(piece))
    conversation.receive_end()
    assert replies == b"".join(frame(message + b"*") for message in messages)


def test_raw_conversation_answers_each_piece() -> None:
    conversation = EchoConversation("raw")
    assert list(conversation.receive_data(b"Hello")) == [b"Hello*"]
    assert list(conversation.receive_data(b" World")) == [b" World*"]
    conversation.receive_end()


def a_requester(first_id: int = 7, retries: int = 2) -> Requester:
    return Requester(first_id, timeout_s=1.0, retries=retries)


def test_reply_is_paired_by_its_id() -> None:
    requester = a_requester()
    assert decode_datagram(requester.request(b"a", now_s=0.0)) == Request(7, b"a")
    assert requester.receive_datagram(encode_datagram(Reply(7, b"a*"))) == b"a*"
    assert requester.deadline_s == float("inf")
    assert decode_datagram(requester.request(b"b", now_s=0.0)) == Request(8, b"b")


@pytest.mark.parametrize(
    "data",
    [
        encode_datagram(Reply(6, b"the answer to an earlier question")),
        encode_datagram(Reply(8, b"the answer to a question that is not asked yet")),
        encode_datagram(Request(7, b"our own question, come back")),
        b"",
        b"short",
        bytes(20),
    ],
)
def test_anything_else_is_discarded(data: bytes) -> None:
    requester = a_requester()
    requester.request(b"a", now_s=0.0)
    assert requester.receive_datagram(data) is None
    assert requester.discarded == 1
    assert requester.receive_datagram(encode_datagram(Reply(7, b"a*"))) == b"a*"


def test_second_copy_of_a_reply_is_discarded() -> None:
    requester = a_requester()
    reply = encode_datagram(Reply(7, b"a*"))
    requester.request(b"a", now_s=0.0)
    assert requester.receive_datagram(reply) == b"a*"
    assert requester.receive_datagram(reply) is None
    requester.request(b"b", now_s=0.0)
    assert requester.receive_datagram(reply) is None


def test_retransmission_is_the_same_datagram() -> None:
    requester = a_requester()
    first = requester.request(b"a", now_s=10.0)
    assert requester.receive_timeout(now_s=10.9) is None
    assert requester.receive_timeout(now_s=11.0) == first
    assert requester.deadline_s == 12.0
    assert requester.receive_timeout(now_s=12.5) == first
    with pytest.raises(PeerSilent, match="3 transmissions") as caught:
        requester.receive_timeout(now_s=13.5)
    assert caught.value.happened is Happened.UNKNOWN
    assert requester.receive_timeout(now_s=99.0) is None
    assert requester.receive_datagram(encode_datagram(Reply(7, b"far too late"))) is None


def test_request_ids_wrap_around() -> None:
    requester = a_requester(first_id=2**64 - 1)
    assert decode_datagram(requester.request(b"a", 0.0)).request_id == 2**64 - 1
    assert decode_datagram(requester.request(b"b", 0.0)).request_id == 0


def test_without_a_cache_a_retransmission_is_executed_again() -> None:
    responder = Responder()
    request = encode_datagram(Request(1, b"a"))
    assert responder.receive_datagram(request, "A") == encode_datagram(Reply(1, b"a*"))
    assert responder.receive_datagram(request, "A") == encode_datagram(Reply(1, b"a*"))
    assert responder.executed == 2


def test_with_a_cache_it_is_not() -> None:
    balance = 100

    def withdraw(amount: bytes) -> bytes:
        nonlocal balance
        balance -= int(amount)
        return str(balance).encode()

    responder = Responder(withdraw, cached_replies=1)
    request = encode_datagram(Request(1, b"30"))
    for _ in range(3):
        assert decode_datagram(responder.receive_datagram(request, "A")) == Reply(1, b"70")
    assert responder.executed == 1
    responder.receive_datagram(encode_datagram(Request(1, b"1")), "B")  # the same id, another client
    assert (balance, responder.executed) == (69, 2)


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(0, 5))
def test_cache_is_bounded_and_remembers_the_latest(request_ids: list[int], size: int) -> None:
    responder = Responder(cached_replies=size)
    expected = 0
    remembered: list[int] = []
    for request_id in request_ids:
        if request_id not in remembered:
            expected += 1
            remembered = [*remembered, request_id][-size:] if size else []
        responder.receive_datagram(encode_datagram(Request(request_id, b"")), "A")
    assert responder.executed == expected


@pytest.mark.parametrize("data", [b"", b"short", encode_datagram(Reply(1, b""))])
def test_server_refuses_what_is_no_request(data: bytes) -> None:
    responder = Responder()
    with pytest.raises(MalformedDatagram):
        responder.receive_datagram(data, "A")
    assert responder.executed == 0


def test_answer_that_fits_no_datagram() -> None:
    with pytest.raises(PeerViolation, match="fits no datagram"):
        Responder().receive_datagram(encode_datagram(Request(1, bytes(MAX_DATAGRAM_BYTES - 9))), "A")
