"""Byte streams through a link without faults, and with each fault that needs no framing."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import UsageError
from dslab.kit.trace.event import Event, Kind

OpenLink = Callable[..., Any]  # see conftest

BLOCK = bytes(range(256)) * 256


def notes(events: list[Event], kind: Kind) -> list[str]:
    return [event.note for event in events if event.kind is kind]


# ---- without faults


def test_bytes_pass_both_ways_and_are_on_record(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    client.send(b"question")
    assert server.receive(8) == b"question"
    server.send(b"answer")
    assert client.receive(6) == b"answer"
    stats = wire.stats()
    assert (stats.forward_bytes, stats.backward_bytes, stats.connections) == (8, 6, 1)
    assert not stats.injected
    chunks = [event for event in wire.events() if event.kind is Kind.CHUNK]
    assert [(event.data, event.direction, event.size) for event in chunks] == [
        (b"question", "forward", 8),
        (b"answer", "backward", 6),
    ]
    assert all(event.arrive_s is not None and event.t_s <= event.arrive_s for event in chunks)


def test_a_half_close_passes_as_a_half_close(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    client.send(b"last words")
    client.finish()
    assert server.receive(100) == b"last words"
    server.send(b"answer after the end")
    server.close()
    assert client.receive(100) == b"answer after the end"
    wire.until(lambda stats: stats.open_connections == 0)
    assert [event.direction for event in wire.events() if event.kind is Kind.CLOSE] == ["forward", "backward"]


def test_a_half_close_by_the_server_passes_too(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    server.finish()
    assert client.receive(1) == b""
    client.send(b"still here")
    assert server.receive(10) == b"still here"


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_passes_as_a_reset(open_link: OpenLink, who: str) -> None:
    wire = open_link()
    client, server = wire.connect()
    one, other = (client, server) if who == "client" else (server, client)
    one.send(b"x")
    assert other.receive(1) == b"x"
    one.reset()
    other.until_reset()
    wire.until(lambda stats: stats.open_connections == 0)
    directions = [event.direction for event in wire.events() if event.kind is Kind.RESET]
    assert directions == ["forward" if who == "client" else "backward"]


def test_a_target_that_refuses_shows_as_a_reset(open_link: OpenLink) -> None:
    wire = open_link()
    wire.target.close()
    wire.meets_reset()
    wire.until(lambda stats: stats.open_connections == 0)
    assert notes(wire.events(), Kind.RESET) == ["server: Connection refused"]


def test_what_was_sent_to_a_target_that_refuses_is_not_on_record(open_link: OpenLink) -> None:
    wire = open_link()
    wire.apply("partition")
    client = wire.client()
    client.send(b"mostly it comes after the refusal")
    wire.until(lambda stats: stats.forward_pieces == 1)
    wire.target.close()
    wire.heal()
    client.until_reset()
    wire.until(lambda stats: stats.open_connections == 0)
    assert [event.kind for event in wire.events() if event.kind in (Kind.RESET, Kind.CHUNK)] == [Kind.RESET]


def test_a_target_that_refused_and_then_listens_is_reached(open_link: OpenLink) -> None:
    wire = open_link()
    with socket.socket() as target:  # whose port nobody else gets while it does not listen
        target.bind(("127.0.0.1", 0))
        target.settimeout(20)
        spec = replace(wire.spec, name="client->late", upstreams=(Address(*target.getsockname()),))
        wire = replace(wire, spec=spec, target=target, address=wire.links.open(spec))
        wire.meets_reset()
        target.listen()
        client, server = wire.connect()
        client.send(b"x")
        assert server.receive(1) == b"x"


def test_large_transfers_side_by_side_arrive_whole(open_link: OpenLink) -> None:
    wire = open_link()
    rng = Random(1)
    sent = [rng.randbytes(20_000_000) for _ in range(3)]  # many times what the link and the kernel hold
    ends = [wire.connect() for _ in sent]
    senders = [
        threading.Thread(target=client.send, args=[data])
        for (client, _), data in zip(ends, sent, strict=True)
    ]
    for sender in senders:
        sender.start()
    received = [bytearray() for _ in sent]
    for _ in range(20):  # each receiver keeps the others, and so their senders, waiting
        for (_, server), whole in zip(ends, received, strict=True):
            whole.extend(server.receive(1_000_000))
    assert received == sent
    for sender in senders:
        sender.join()


def test_replicas_are_used_in_turn(open_link: OpenLink) -> None:
    first, second = open_link(name="x->one"), open_link(name="x->two")
    both = first.spec.upstreams + second.spec.upstreams
    address = first.links.open(replace(first.spec, name="client->both", upstreams=both))
    for target in (first, second, first):
        with socket.create_connection(address.pair, 10) as client:
            client.sendall(b"x")
            assert target.accept().receive(1) == b"x"


def test_closing_a_link_closes_its_connections_and_frees_its_port(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.links.close(wire.spec.name)
    assert client.receive(1) == b""
    assert server.receive(1) == b""
    with pytest.raises(ConnectionRefusedError):
        wire.client()
    with pytest.raises(UsageError, match="There is no link"):
        wire.stats()
    socket.create_server(wire.address.pair).close()


# ---- with faults


def test_delay(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("delay", s=0.2, jitter_s=0.05)
    start_s = time.monotonic()
    client.send(b"late")
    client.finish()
    assert server.receive(4) == b"late"
    assert time.monotonic() - start_s >= 0.15
    assert server.receive(1) == b""
    assert wire.injected("delay") == 1
    (chunk,) = (event for event in wire.events() if event.kind is Kind.CHUNK)
    assert chunk.note.startswith("delayed 0.")
    assert chunk.arrive_s is not None
    assert chunk.arrive_s - chunk.t_s >= 0.15


def test_jitter_keeps_the_order_of_the_stream(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("delay", s=0.02, jitter_s=0.02)
    sent = [bytes([number]) * 10 for number in range(100)]
    for piece in sent:
        client.send(piece)
        time.sleep(0.0005)
    assert server.receive(1_000) == b"".join(sent)


def test_a_fault_of_one_direction_and_one_piece(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("delay", s=2.0, direction="backward", count=1)
    for expected in (True, False):
        start_s = time.monotonic()
        client.send(b"x")
        assert server.receive(1) == b"x"
        assert time.monotonic() - start_s < 2.0
        server.send(b"y")
        assert client.receive(1) == b"y"
        assert (time.monotonic() - start_s >= 2.0) is expected
    assert wire.injected("delay") == 1


def test_fragment(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("fragment", max_bytes=2, gap_s=2.0)  # a gap in which any reader gets its turn
    client.send(b"pieces")
    assert [server.piece() for _ in range(3)] == [b"pi", b"ec", b"es"]
    assert wire.injected("fragment") == 2
    assert notes(wire.events(), Kind.CHUNK) == ["fragment into 3"]


def test_a_long_piece_in_parts_does_not_take_long(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("fragment", max_bytes=1)
    sent = BLOCK[:5_000]
    start_s = time.monotonic()
    client.send(sent)
    assert server.receive(len(sent)) == sent
    assert time.monotonic() - start_s < 5.0


def test_coalesce(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("coalesce", hold_s=60, max_bytes=11)
    for number, piece in enumerate((b"one", b"two", b"three"), 1):
        client.send(piece)
        wire.until(lambda stats, number=number: stats.forward_pieces == number)
    assert server.piece() == b"onetwothree"
    assert wire.injected("coalesce") == 2
    assert notes(wire.events(), Kind.CHUNK) == ["coalesced"] * 3


def test_pieces_wait_for_each_other_no_longer_than_they_are_told(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("coalesce", hold_s=0.2)
    start_s = time.monotonic()
    client.send(b"alone")
    assert server.piece() == b"alone"
    assert time.monotonic() - start_s >= 0.2
    assert wire.injected("coalesce") == 0
    assert notes(wire.events(), Kind.CHUNK) == [""]


def test_throttle(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("throttle", bytes_per_s=100_000)
    start_s = time.monotonic()
    client.send(BLOCK)
    assert server.receive(len(BLOCK)) == BLOCK
    assert time.monotonic() - start_s >= len(BLOCK) / 100_000 - 0.05
    assert wire.injected("throttle") >= 1


def test_stall_and_heal(open_link: OpenLink) -> None:
    wire = open_link()
    wire.apply("stall")
    client, server = wire.connect()
    client.send(b"hello")
    wire.until(lambda stats: stats.injected == {"stall": 2})  # the connection and the piece
    assert server.is_silent()
    wire.heal()
    assert server.receive(5) == b"hello"
    assert wire.injected("stall") == 2


def test_a_stall_of_the_replies_lets_requests_pass(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("stall", direction="backward")
    client.send(b"request")
    assert server.receive(7) == b"request"
    server.send(b"reply")
    wire.until(lambda stats: stats.backward_bytes == 5)
    assert client.is_silent()
    assert wire.injected("stall") == 1


def test_a_partition_is_silence_and_the_target_hears_nothing(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("partition")
    client.send(b"into the void")
    wire.until(lambda stats: stats.forward_pieces == 1)
    assert server.is_silent()
    assert client.is_silent()
    newcomer = wire.client()
    newcomer.send(b"anybody?")
    wire.until(lambda stats: stats.forward_pieces == 2)
    wire.target.settimeout(0.15)
    with pytest.raises(TimeoutError):
        wire.target.accept()
    wire.target.settimeout(10)
    wire.heal()
    assert server.receive(13) == b"into the void"
    assert wire.accept().receive(8) == b"anybody?"


def test_what_a_client_said_in_a_partition_that_it_did_not_outlive(open_link: OpenLink) -> None:
    wire = open_link()
    wire.apply("partition")
    client = wire.client()
    client.send(b"is anybody there?")
    wire.until(lambda stats: stats.forward_pieces == 1)
    client.reset()
    wire.until(lambda stats: stats.connections == 1 and not stats.open_connections)
    chunks = [(event.data, event.note) for event in wire.events() if event.kind is Kind.CHUNK]
    assert chunks == [(b"is anybody there?", "lost")]


def test_cut(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("cut")
    assert client.receive(1) == b""
    assert server.receive(1) == b""
    assert wire.client().receive(1) == b""
    wire.until(lambda stats: stats.injected == {"cut": 2} and not stats.open_connections)
    wire.heal()
    client, server = wire.connect()
    client.send(b"x")
    assert server.receive(1) == b"x"
    assert notes(wire.events(), Kind.CLOSE)[:2] == ["cut", "cut"]


def test_cut_only_the_first(open_link: OpenLink) -> None:
    wire = open_link()
    wire.apply("cut", count=1)
    assert wire.client().receive(1) == b""
    client, server = wire.connect()
    client.send(b"x")
    assert server.receive(1) == b"x"
    assert wire.injected("cut") == 1


def test_reset_now(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    client.send(b"x")
    server.receive(1)
    wire.apply("reset")
    client.until_reset()
    server.until_reset()
    client, server = wire.connect()
    client.send(b"x")
    assert server.receive(1) == b"x"
    assert wire.injected("reset") == 1
    assert notes(wire.events(), Kind.RESET) == ["injected"]


def test_reset_after_so_many_bytes(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    client.send(b"before")
    server.receive(6)
    wire.apply("reset", after_bytes=10, direction="forward")
    client.send(b"x" * 25)
    assert server.until_reset() == b"x" * 10
    client.until_reset()
    assert wire.injected("reset") == 1
    wire.until(lambda stats: not stats.open_connections)
    sizes = [(event.size, event.note) for event in wire.events() if event.kind is Kind.CHUNK]
    assert sizes == [(6, ""), (10, "beginning"), (15, "lost")]


def test_reset_only_the_first(open_link: OpenLink) -> None:
    wire = open_link()
    before = [wire.connect() for _ in range(3)]
    wire.apply("reset", after_bytes=0, count=2)
    for client, _ in before[:2]:
        client.until_reset()
    wire.until(lambda stats: stats.open_connections == 1)
    assert wire.injected("reset") == 2
    client, server = before[2]
    client.send(b"the third")
    assert server.receive(9) == b"the third"


def test_reset_only_the_next(open_link: OpenLink) -> None:
    wire = open_link()
    wire.apply("reset", after_bytes=0, count=2)
    for _ in range(2):
        wire.meets_reset()
    assert wire.injected("reset") == 2


def test_half_close_by_the_link(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("half_close", after_bytes=4)
    client.send(b"half a message")
    assert server.receive(100) == b"half"
    server.send(b"answer")
    assert client.receive(6) == b"answer"
    client.send(b"nobody hears this")
    server.close()
    assert client.receive(1) == b""
    assert wire.injected("half_close") == 1


def test_refuse(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("refuse")
    with pytest.raises(ConnectionRefusedError):
        wire.client()
    client.send(b"open ones stay")
    assert server.receive(14) == b"open ones stay"
    assert wire.injected("refuse") == 1
    wire.heal()
    client, server = wire.connect()
    client.send(b"x")
    assert server.receive(1) == b"x"


def test_corrupt(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("corrupt", offset=2, count=1)
    client.send(b"abcd")
    received = server.receive(4)
    assert received[:2] + received[3:] == b"abd"
    assert received[2:3] != b"c"
    client.send(b"abcd")
    assert server.receive(4) == b"abcd"
    assert wire.injected("corrupt") == 1


def test_a_stream_of_bytes_has_no_messages_to_lose(open_link: OpenLink) -> None:
    wire = open_link()
    for kind in ("lose", "duplicate", "reorder"):
        with pytest.raises(UsageError, match="has no messages to"):
            wire.apply(kind)


def test_same_kind_and_direction_replaces_and_others_add_up(open_link: OpenLink) -> None:
    wire = open_link()
    wire.apply("delay", s=1)
    wire.apply("delay", s=2)
    wire.apply("delay", s=3, direction="forward")
    assert wire.stats().faults == ("delay 2 s", "delay 3 s, forward")
    wire.links.heal()
    assert wire.stats().faults == ()


def test_faults_are_on_record(open_link: OpenLink) -> None:
    wire = open_link()
    wire.apply("stall", direction="forward")
    wire.apply("reset")
    wire.heal()
    found = [(event.label, event.direction, event.note) for event in wire.events()]
    assert found == [("stall, forward", "forward", "on"), ("reset", "", ""), ("heal", "", "off")]


# ---- memory: nothing piles up in a link


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (None, {}),
        ("delay", {"s": 30}),
        ("throttle", {"bytes_per_s": 10}),
        ("stall", {}),
        ("partition", {}),
        ("fragment", {"max_bytes": 1}),
        ("coalesce", {"hold_s": 30, "max_bytes": 1_000_000_000}),
    ],
)
def test_a_link_does_not_read_what_it_cannot_pass_on(
    open_link: OpenLink, kind: str | None, parameters: dict[str, float]
) -> None:
    wire = open_link()
    client, _ = wire.connect()
    if kind:
        wire.apply(kind, **parameters)
    client.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        while True:
            client.socket.send(BLOCK)
    # What the kernel has taken in on the far side has left the link; what it holds itself is little.
    assert wire.stats().forward_bytes < 12 * 1024 * 1024


def test_a_stream_that_waited_arrives_whole(open_link: OpenLink) -> None:
    wire = open_link()
    client, server = wire.connect()
    wire.apply("stall")
    sent = BLOCK * 160  # 10 MiB
    sender = threading.Thread(target=client.send, args=[sent])
    sender.start()
    wire.until(lambda stats: stats.forward_bytes >= 512 * 1024)  # of the 1 MiB that a link keeps at most
    wire.heal()
    assert server.receive(len(sent)) == sent
    sender.join()
