"""Datagrams through a link."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import MachineError, UsageError
from dslab.kit.links import udp
from dslab.kit.trace.event import Kind

OpenLink = Callable[..., Any]  # see conftest


def received(wire: Any, count: int) -> list[bytes]:
    return [wire.target.recv(65_535) for _ in range(count)]


def nothing_comes(wire: Any, for_s: float = 0.15) -> bool:
    wire.target.settimeout(for_s)
    try:
        wire.target.recv(65_535)
    except TimeoutError:
        return True
    finally:
        wire.target.settimeout(20)
    return False


def test_replies_go_back_to_the_right_client(open_link: OpenLink) -> None:
    wire = open_link("udp")
    clients = [wire.sender() for _ in range(5)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    for _ in clients:
        data, sender = wire.target.recvfrom(100)
        wire.target.sendto(b"for " + data, sender)
    for number, client in enumerate(clients):
        assert client.piece() == b"for %d" % number
    stats = wire.stats()
    assert (stats.connections, stats.forward_pieces, stats.backward_pieces) == (5, 5, 5)
    events = [event for event in wire.events() if event.kind is Kind.DATAGRAM]
    assert len(events) == 10
    assert {event.connection for event in events} == set(range(5))


@pytest.mark.parametrize("size", [0, 1, 1_400, 65_000])
def test_datagrams_of_all_sizes(open_link: OpenLink, size: int) -> None:
    wire = open_link("udp")
    client = wire.sender()
    client.send(b"x" * size)
    data, sender = wire.target.recvfrom(65_535)
    assert data == b"x" * size
    wire.target.sendto(data, sender)
    assert client.piece() == data


def test_lose_only_the_first_reply(open_link: OpenLink) -> None:
    wire = open_link("udp")
    wire.apply("lose", direction="backward", count=1)
    client = wire.sender()
    for text in (b"one", b"two"):
        client.send(text)
        data, sender = wire.target.recvfrom(100)
        wire.target.sendto(data, sender)
    assert client.piece() == b"two"
    assert wire.injected("lose") == 1
    lost = [event for event in wire.events() if event.note == "lost"]
    assert [(event.data, event.direction, event.arrive_s) for event in lost] == [(b"one", "backward", None)]


def test_what_is_lost_is_counted_and_the_same_every_time(open_link: OpenLink) -> None:
    outcomes = []
    for _ in range(2):
        wire = open_link("udp")
        wire.apply("lose", p=0.4, direction="forward")
        client = wire.sender()
        for number in range(100):
            client.send(b"%d" % number)
        stats = wire.until(lambda stats: stats.forward_pieces == 100)
        arrived = received(wire, 100 - stats.injected["lose"])
        assert nothing_comes(wire)
        outcomes.append(arrived)
        wire.links.close(wire.spec.name)
    assert outcomes[0] == outcomes[1]


def test_duplicate_reorder_corrupt(open_link: OpenLink) -> None:
    wire = open_link("udp")
    client = wire.sender()
    wire.apply("duplicate", count=1)
    client.send(b"one")
    assert received(wire, 2) == [b"one", b"one"]
    wire.heal()
    wire.apply("reorder", count=1, hold_s=10)
    client.send(b"one")
    wire.until(lambda stats: stats.forward_pieces == 2)
    client.send(b"two")
    assert received(wire, 2) == [b"two", b"one"]
    wire.heal()
    wire.apply("corrupt", offset=0)
    client.send(b"one")
    (corrupted,) = received(wire, 1)
    assert corrupted[1:] == b"ne"
    assert corrupted != b"one"
    assert wire.stats().injected == {"duplicate": 1, "reorder": 1, "corrupt": 1}
    notes = [event.note for event in wire.events() if event.kind is Kind.DATAGRAM]
    assert sorted(notes) == ["", "", "corrupted byte 0", "duplicate", "reordered"]


def test_a_datagram_that_nobody_overtakes_arrives_all_the_same(open_link: OpenLink) -> None:
    wire = open_link("udp")
    wire.apply("reorder", hold_s=0.05)
    wire.sender().send(b"only")
    assert received(wire, 1) == [b"only"]
    assert wire.injected("reorder") == 0


def test_delay(open_link: OpenLink) -> None:
    wire = open_link("udp")
    wire.apply("delay", s=0.2)
    start_s = time.monotonic()
    wire.sender().send(b"late")
    assert received(wire, 1) == [b"late"]
    assert time.monotonic() - start_s >= 0.19
    assert wire.injected("delay") == 1


def test_jitter_may_change_the_order_of_datagrams(open_link: OpenLink) -> None:
    wire = open_link("udp")
    wire.apply("delay", s=0.1, jitter_s=0.1)
    client = wire.sender()
    sent = [b"%02d" % number for number in range(40)]
    for data in sent:
        client.send(data)
    arrived = received(wire, 40)
    assert sorted(arrived) == sent
    assert arrived != sent


def test_throttle(open_link: OpenLink) -> None:
    wire = open_link("udp")
    wire.apply("throttle", bytes_per_s=10_000)
    client, start_s = wire.sender(), time.monotonic()
    for _ in range(4):
        client.send(b"x" * 1_000)
    received(wire, 4)
    assert time.monotonic() - start_s >= 0.35


def test_a_throttle_keeps_the_order(open_link: OpenLink) -> None:
    wire = open_link("udp")
    wire.target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    wire.apply("throttle", bytes_per_s=2_000_000)
    client = wire.sender()
    sent = [b"%05d" % number for number in range(3_000)]
    arrived = []
    for batch in range(0, len(sent), 100):  # no more under way than any socket's buffer takes
        for data in sent[batch : batch + 100]:
            client.send(data)
        arrived += received(wire, 100)
    assert arrived == sent


def test_what_a_throttled_wire_loses_does_not_occupy_it(
    open_link: OpenLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "MAX_WAITING_BYTES", 3 * (1_000 + udp.BESIDE_BYTES))
    wire = open_link("udp")
    wire.apply("throttle", bytes_per_s=10_000)
    client = wire.sender()
    for count in range(1, 401):  # 40 s of the wire, of which all but three are lost
        client.send(b"x" * 1_000)
        if count % 50 == 0:  # no more than the link's socket takes
            wire.until(lambda stats, count=count: stats.forward_pieces == count)
    while wire.target.recv(65_535) != b"late":  # waits for half of these 40 s at most
        client.send(b"late")  # now there is room


@pytest.mark.parametrize("kind", ["stall", "partition", "cut"])
def test_silence(open_link: OpenLink, kind: str) -> None:
    wire = open_link("udp")
    wire.apply(kind)
    client = wire.sender()
    client.send(b"into the void")
    wire.until(lambda stats: stats.injected == {kind: 1})
    assert nothing_comes(wire)
    assert wire.stats().injected == {kind: 1}
    wire.heal()
    client.send(b"again")
    assert received(wire, 1) == [b"again"]


@pytest.mark.parametrize("kind", ["stall", "partition", "cut"])
def test_silence_for_what_was_under_way(open_link: OpenLink, kind: str) -> None:
    wire = open_link("udp")
    wire.apply("delay", s=3)
    client = wire.sender()
    client.send(b"under way")
    wire.until(lambda stats: stats.forward_pieces == 1)
    wire.apply(kind)
    wire.until(lambda stats: stats.injected.get(kind) == 1)
    wire.heal()
    client.send(b"again")
    assert received(wire, 1) == [b"again"]
    assert [event.note for event in wire.events()].count("delayed 3 s, lost") == 1


@pytest.mark.parametrize("kind", ["reset", "half_close", "refuse", "coalesce"])
def test_there_are_no_faults_of_streams(open_link: OpenLink, kind: str) -> None:
    wire = open_link("udp")
    with pytest.raises(UsageError, match="carries datagrams"):
        wire.apply(kind)


def test_an_answer_from_another_port_does_not_arrive(open_link: OpenLink) -> None:
    wire = open_link("udp")
    client = wire.sender()
    client.send(b"question")
    _, sender = wire.target.recvfrom(100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.sendto(b"wrong door", sender)
        port = stranger.getsockname()[1]
    wire.target.sendto(b"answer", sender)
    assert client.piece() == b"answer"
    assert f"lost from port {port}" in [event.note for event in wire.events()]


def test_a_target_that_is_not_there_yet_and_then_is(open_link: OpenLink) -> None:
    wire = open_link("udp")
    address = wire.target.getsockname()
    wire.target.close()
    client = wire.sender()
    client.send(b"nobody there")
    wire.until(lambda stats: stats.forward_pieces == 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire.target:
        wire.target.bind(address)
        wire.target.settimeout(20)
        client.send(b"somebody there")
        assert received(wire, 1) == [b"somebody there"]


def test_a_target_with_a_name(open_link: OpenLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "RESOLVED_S", 0.0)
    wire = open_link("udp")
    named = replace(
        wire.spec, name="a->named", upstreams=(Address("localhost", wire.spec.upstreams[0].port),)
    )
    wire = replace(wire, spec=named, address=wire.links.open(named))
    client = wire.sender()
    for text in (b"one", b"two", b"three"):
        client.send(text)
        assert received(wire, 1) == [text]


def test_a_name_that_nobody_has(open_link: OpenLink, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "nowhere.invalid":  # whom a resolver may ask in vain for long
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo(host, *arguments, **options)

    getaddrinfo = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    wire = open_link("udp")
    nowhere = replace(wire.spec, name="a->nowhere", upstreams=(Address("nowhere.invalid", 9),))
    with pytest.raises(MachineError, match=r"nowhere\.invalid:9 cannot be resolved"):
        wire.links.open(nowhere)


def test_a_client_that_is_gone_does_no_harm(open_link: OpenLink) -> None:
    wire = open_link("udp")
    gone, client = wire.sender(), wire.sender()
    gone.send(b"hello and goodbye")
    _, sender = wire.target.recvfrom(100)
    gone.close()
    for _ in range(3):
        wire.target.sendto(b"to nobody", sender)
    client.send(b"x")
    assert received(wire, 1) == [b"x"]


def test_flows_are_few(open_link: OpenLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MAX_FLOWS", 4)
    wire = open_link("udp")
    for number in range(20):
        client = wire.sender()
        client.send(b"%d" % number)
        data, sender = wire.target.recvfrom(100)
        wire.target.sendto(data, sender)
        assert client.piece() == b"%d" % number
    assert wire.stats().connections == 20
    assert wire.stats().open_connections == 4


def test_idle_flows_end(open_link: OpenLink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "IDLE_S", 0.05)
    wire = open_link("udp")
    first, second = wire.sender(), wire.sender()
    first.send(b"x")
    received(wire, 1)
    time.sleep(0.06)
    second.send(b"x")
    wire.until(lambda stats: stats.connections == 2 and stats.open_connections == 1)


@pytest.mark.parametrize("size", [1_000, 0])
def test_what_a_delay_keeps_back_is_bounded(
    open_link: OpenLink, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(udp, "MAX_WAITING_BYTES", 10 * (size + udp.BESIDE_BYTES))
    wire = open_link("udp")
    wire.apply("delay", s=60)
    client = wire.sender()
    for _ in range(15):
        client.send(b"x" * size)
    wire.until(lambda stats: stats.forward_pieces == 15)
    noted = [event.note for event in wire.events() if event.kind is Kind.DATAGRAM]
    assert noted.count("delayed 60 s, lost queue full") == 5
    assert noted.count("delayed 60 s, held") == 10


def test_a_flood_leaves_room_for_others(open_link: OpenLink) -> None:
    wire = open_link("udp")
    flooding, client = wire.sender(), wire.sender()
    for _ in range(2_000):
        with suppress(OSError):
            flooding.socket.send(b"flood")
    client.send(b"me too")
    deadline = time.monotonic() + 10
    while wire.target.recv(100) != b"me too":
        assert time.monotonic() < deadline
        client.send(b"me too")


def test_what_waits_when_the_trace_ends_is_on_record_once(open_link: OpenLink) -> None:
    wire = open_link("udp")
    client = wire.sender()
    wire.apply("reorder", count=1, hold_s=60)
    client.send(b"overtaken")
    wire.until(lambda stats: stats.forward_pieces == 1)
    client.send(b"first")
    wire.until(lambda stats: stats.injected.get("reorder") == 1)
    wire.apply("delay", s=60)
    client.send(b"late")
    wire.until(lambda stats: stats.forward_pieces == 3)
    carried = [(event.data, event.note, event.arrive_s is not None) for event in wire.events()]
    assert [one for one in carried if one[0]] == [
        (b"overtaken", "reordered", True),
        (b"first", "", True),
        (b"late", "delayed 60 s, held", False),
    ]
