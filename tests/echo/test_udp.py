"""Request-reply over datagrams, against the server and against networks that lose, double and delay."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from dslab.echo.client import UdpClient
from dslab.echo.demo import running_server
from dslab.echo.messages import Reply, Request, decode_datagram, encode_datagram
from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerRefused, PeerSilent

Answer = Callable[[int, Request], list[bytes]]


@contextmanager
def peer(answer: Answer) -> Iterator[Address]:
    """Answer the n-th datagram with the datagrams that a function gives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))

        def run() -> None:
            count = 0
            while True:
                data, sender = bound.recvfrom(65_536)
                if not data:
                    return
                request = decode_datagram(data)
                assert isinstance(request, Request)
                for reply in answer(count, request):
                    bound.sendto(reply, sender)
                count += 1

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield Address(*bound.getsockname()[:2])
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
                stop.sendto(b"", bound.getsockname())
            thread.join(10)


def reply_to(request: Request) -> bytes:
    return encode_datagram(Reply(request.request_id, request.payload + b"*"))


@pytest.mark.parametrize("options", [(), ("--reply-cache", "10")])
def test_server_answers_requests(options: tuple[str, ...]) -> None:
    with (
        running_server("udp", *options) as (address, _),
        UdpClient(address, timeout_s=10, rng=Random(1)) as client,  # what is sent again is answered again
    ):
        for payload in (b"Hello", b"", b"\xff" * 60_000):
            assert client.request(payload) == payload + b"*"
        assert client.discarded == 0


def test_server_survives_what_is_no_request() -> None:
    with running_server("udp") as (address, _), UdpClient(address, timeout_s=5) as client:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for junk in (b"", b"x", bytes(9), encode_datagram(Reply(1, b"")), b"\x01" * 65_507):
                stranger.sendto(junk, Address.parse(address).pair)
        assert client.request(b"still there?") == b"still there?*"


def test_server_answers_a_retransmission_with_the_same_bytes() -> None:
    request = encode_datagram(Request(5, b"Hello"))
    with (
        running_server("udp", "--reply-cache", "10") as (address, _),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
    ):
        asking.settimeout(5)
        for _attempt in range(3):
            asking.sendto(request, Address.parse(address).pair)
            assert asking.recv(100) == encode_datagram(Reply(5, b"Hello*"))


def test_raw_datagrams() -> None:
    with (
        running_server("udp", "--framing", "raw") as (address, _),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
    ):
        asking.settimeout(5)
        asking.sendto(b"Hello", Address.parse(address).pair)
        assert asking.recv(100) == b"Hello*"


def test_lost_datagrams_are_sent_again() -> None:
    def answer_every_third(count: int, request: Request) -> list[bytes]:
        return [reply_to(request)] if count % 3 == 2 else []

    with peer(answer_every_third) as address, UdpClient(address, timeout_s=0.1, retries=300) as client:
        assert client.request(b"a") == b"a*"
        assert client.request(b"b") == b"b*"
        assert client.sent >= 6


def test_late_and_doubled_replies_are_not_taken_for_the_next() -> None:
    earlier: list[bytes] = []

    def answer(_: int, request: Request) -> list[bytes]:
        replies = [*earlier, b"junk", reply_to(request), reply_to(request)]
        earlier.append(reply_to(request))
        return replies

    with peer(answer) as address, UdpClient(address, timeout_s=5) as client:
        for number in range(10):
            assert client.request(b"%d" % number) == b"%d*" % number
        assert client.discarded == sum(range(10)) + 10 + 9


def test_reply_that_arrives_after_its_retransmission() -> None:
    # The first answer comes only with the second transmission, and so do all the earlier ones.
    waiting: list[bytes] = []

    def answer(count: int, request: Request) -> list[bytes]:
        waiting.append(reply_to(request))
        return waiting if count % 2 else []

    with peer(answer) as address, UdpClient(address, timeout_s=0.05, retries=600) as client:
        for number in range(4):
            assert client.request(b"%d" % number) == b"%d*" % number


def test_silence() -> None:
    with peer(lambda *_: []) as address, UdpClient(address, timeout_s=0.05, retries=2) as client:
        with pytest.raises(PeerSilent, match=rf"{address}: No reply to 3 transmissions") as caught:
            client.request(b"a")
        assert caught.value.happened is Happened.UNKNOWN
        assert client.sent == 3


def test_nobody_is_bound_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        address = Address(*reserved.getsockname()[:2])
        reserved.connect(address.pair)  # nobody else gets the port, and whoever sends there meets nobody
        with UdpClient(address, timeout_s=0.05, retries=2) as client, pytest.raises(PeerRefused) as caught:
            client.request(b"a")
    assert caught.value.happened is Happened.NO


def test_name_that_nobody_has() -> None:
    with pytest.raises(PeerRefused, match="nobody has that name"):
        UdpClient("no-such-host.invalid:7000")


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EACCES])  # the latter: a broadcast address
def test_no_way_leads_there(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Unconnected(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", Unconnected)
    with pytest.raises(PeerRefused, match=rf"127\.0\.0\.1:7000 cannot be reached: {os.strerror(number)}\."):
        UdpClient("127.0.0.1:7000")


def test_ids_come_from_the_generator() -> None:
    asked: list[int] = []

    def answer(_: int, request: Request) -> list[bytes]:
        asked.append(request.request_id)
        return [reply_to(request)]

    for _ in range(2):
        with peer(answer) as address, UdpClient(address, timeout_s=5, rng=Random(42)) as client:
            client.request(b"a")
            client.request(b"b")
    assert asked[0] == asked[2] == Random(42).getrandbits(64)
    assert asked[1] == (asked[0] + 1) % 2**64
