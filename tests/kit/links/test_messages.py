"""Faults that meet whole messages of a stream whose framing the link knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.links import LinkSpec, intake, lane, line
from dslab.kit.links.link import Link
from dslab.kit.links.tap import Tap
from dslab.kit.trace.event import Kind

OpenLink = Callable[..., Any]  # see conftest


def message(text: bytes) -> bytes:
    """One message of the framing in conftest."""
    return bytes([len(text)]) + text


ANYWHERE = Address("127.0.0.1", 0)
ONE, TWO, THREE = message(b"one"), message(b"two"), message(b"three")


def carried(wire: Any) -> list[tuple[Kind, bytes, str]]:
    kinds = {Kind.MESSAGE, Kind.CHUNK}
    return [(event.kind, event.data, event.note) for event in wire.events() if event.kind in kinds]


def test_messages_are_on_record_however_they_were_cut(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing, describe="builtins:repr")
    client, server = wire.connect()
    for piece in (ONE + TWO[:2], TWO[2:], THREE):
        client.send(piece)
        assert server.receive(len(piece)) == piece  # nothing waits for the rest of a message
    stats = wire.until(lambda stats: stats.forward_pieces == 3)
    assert stats.forward_bytes == len(ONE + TWO + THREE)
    events = [event for event in wire.events() if event.kind is Kind.MESSAGE]
    assert [event.data for event in events] == [ONE, TWO, THREE]
    assert [event.label for event in events] == [repr(ONE), repr(TWO), repr(THREE)]


def test_the_first_reply_is_lost(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("lose", direction="backward", count=1)
    client.send(ONE + TWO)
    assert server.receive(8) == ONE + TWO
    server.send(ONE[:2])
    server.send(ONE[2:] + TWO)
    assert client.receive(4) == TWO
    assert wire.injected("lose") == 1
    assert carried(wire)[2:] == [(Kind.MESSAGE, ONE, "lost"), (Kind.MESSAGE, TWO, "")]


def test_duplicate(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("duplicate", count=1)
    client.send(ONE + TWO)
    assert server.receive(12) == ONE + ONE + TWO
    assert wire.injected("duplicate") == 1
    assert [note for _, _, note in carried(wire)] == ["", "duplicate", ""]


def test_reorder(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("reorder", count=1, hold_s=10)
    client.send(ONE)
    wire.until(lambda stats: stats.forward_pieces == 1)
    client.send(TWO + THREE)
    assert server.receive(14) == TWO + ONE + THREE
    assert wire.injected("reorder") == 1
    assert [note for _, _, note in carried(wire)] == ["reordered", "", ""]


def test_a_message_that_nobody_overtakes_arrives_all_the_same(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("reorder", hold_s=0.05)
    client.send(ONE)
    assert server.receive(4) == ONE
    client.send(TWO)
    client.finish()
    assert server.receive(100) == TWO
    assert wire.injected("reorder") == 0


def test_corrupt(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("corrupt", offset=1)
    client.send(ONE)
    received = server.receive(4)
    assert received != ONE
    assert received[:1] + received[2:] == ONE[:1] + ONE[2:]


def test_equal_messages_have_equal_fates_however_they_were_cut(open_link: OpenLink, framing: str) -> None:
    sent = [message(b"%02d" % number) for number in range(60)]
    arrived = []
    for size in (1, 7, 10_000):
        wire = open_link(framing=framing)
        client, server = wire.connect()
        for kind in ("lose", "duplicate", "corrupt"):
            wire.apply(kind, p=0.3)
        stream = b"".join(sent)
        for start in range(0, len(stream), size):
            client.send(stream[start : start + size])
        client.finish()
        arrived.append((server.receive(100_000), wire.stats().injected))
        wire.links.close(wire.spec.name)
    assert arrived[0] == arrived[1] == arrived[2]
    assert arrived[0][1].keys() == {"lose", "duplicate", "corrupt"}


def test_what_is_counted_is_what_happened(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("lose", p=0.4)
    client.send(b"".join(message(b"x") for _ in range(200)))
    client.finish()
    arrived = len(server.receive(10_000)) // 2
    assert wire.injected("lose") == 200 - arrived
    assert 0 < arrived < 200


def test_a_message_that_had_begun_before_the_fault_keeps_its_luck(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    client.send(ONE[:2])
    assert server.receive(2) == ONE[:2]
    wire.apply("lose")
    client.send(ONE[2:] + TWO)
    assert server.receive(2) == ONE[2:]
    wire.until(lambda stats: stats.injected == {"lose": 1})


def test_a_heal_lets_the_beginning_of_a_message_go(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("lose", p=0)
    client.send(ONE[:2])
    wire.until(lambda stats: stats.forward_bytes == 2)
    assert server.is_silent()
    wire.heal()
    assert server.receive(2) == ONE[:2]
    client.send(ONE[2:])
    assert server.receive(2) == ONE[2:]
    assert carried(wire) == [(Kind.MESSAGE, ONE, "")]


def test_bytes_that_are_no_messages_pass_as_chunks(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    client.send(ONE + b"\xffgarbage")
    assert server.receive(12) == ONE + b"\xffgarbage"
    client.send(b"more of it")
    assert server.receive(10) == b"more of it"
    assert carried(wire) == [
        (Kind.MESSAGE, ONE, ""),
        (Kind.CHUNK, b"\xffgarbage", "no framing: 255 is no length"),
        (Kind.CHUNK, b"more of it", ""),
    ]


def test_no_messages_under_a_fault(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("delay", s=0.01)
    client.send(ONE + b"\xffgarbage")
    assert server.receive(12) == ONE + b"\xffgarbage"
    assert wire.injected("delay") == 2


def test_the_stream_ends_in_the_middle_of_a_message(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    for fault in (False, True):
        client, server = wire.connect()
        if fault:
            wire.apply("delay", s=0.01)
        client.send(ONE + TWO[:2])
        client.finish()
        assert server.receive(100) == ONE + TWO[:2]
    halves = [note for kind, data, note in carried(wire) if kind is Kind.CHUNK and data == TWO[:2]]
    assert halves == ["incomplete message"] * 2


def test_a_reset_in_the_middle_of_a_message(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("reset", after_bytes=6)
    client.send(ONE + TWO)
    assert server.until_reset() == ONE + TWO[:2]
    wire.until(lambda stats: not stats.open_connections)
    assert carried(wire)[1:] == [(Kind.CHUNK, TWO[:2], "beginning"), (Kind.CHUNK, TWO[2:], "lost")]


def travelled(wire: Any) -> list[tuple[Kind, bytes, str, bool]]:
    """What is on record of the bytes: with its note, and whether it arrived."""
    events = [event for event in wire.events() if event.kind in {Kind.MESSAGE, Kind.CHUNK}]
    return [(event.kind, event.data, event.note, event.arrive_s is not None) for event in events]


def test_what_is_not_whole_when_the_trace_ends_is_on_record(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    client.send(ONE + TWO[:2])
    assert server.receive(6) == ONE + TWO[:2]
    wire.links.end()
    assert travelled(wire) == [
        (Kind.MESSAGE, ONE, "", True),
        (Kind.CHUNK, TWO[:2], "incomplete message", True),
    ]
    client.send(TWO[2:])  # it goes on all the same
    assert server.receive(2) == TWO[2:]


def test_what_is_stalled_when_the_trace_ends_is_held_not_lost(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    client.send(ONE[:1])
    assert server.receive(1) == ONE[:1]
    wire.apply("stall")
    client.send(ONE[1:] + TWO + THREE[:2])
    wire.until(lambda stats: stats.forward_bytes == len(ONE + TWO) + 2)
    assert travelled(wire) == [
        (Kind.CHUNK, ONE[:1], "beginning", True),
        (Kind.CHUNK, ONE[1:], "held", False),
        (Kind.MESSAGE, TWO, "held", False),
        (Kind.CHUNK, THREE[:2], "incomplete message, held", False),
    ]
    wire.heal()
    assert server.receive(9) == ONE[1:] + TWO + THREE[:2]


def test_how_far_a_message_in_pieces_came(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    wire.apply("fragment", max_bytes=2, gap_s=60)
    client.send(THREE)
    assert server.receive(2) == THREE[:2]
    assert travelled(wire) == [
        (Kind.CHUNK, THREE[:2], "beginning", True),
        (Kind.CHUNK, THREE[2:], "held", False),
    ]


def test_who_steps_aside_when_the_trace_ends_is_on_record(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, _ = wire.connect()
    wire.apply("reorder", hold_s=60)
    client.send(ONE)
    wire.until(lambda stats: stats.forward_pieces == 1)
    assert travelled(wire) == [(Kind.MESSAGE, ONE, "held", False)]


def test_a_message_has_set_off_with_its_first_byte(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    client.send(ONE[:1])
    assert server.receive(1) == ONE[:1]
    server.send(TWO)  # so this is later
    assert client.receive(4) == TWO
    client.send(ONE[1:] + THREE[:1])
    assert server.receive(4) == ONE[1:] + THREE[:1]
    client.finish()
    assert server.receive(1) == b""
    one, two, three = [event for event in wire.events() if event.kind in {Kind.MESSAGE, Kind.CHUNK}]
    assert [one.data, two.data, three.data] == [ONE, TWO, THREE[:1]]
    assert one.t_s < two.t_s < three.t_s
    assert three.note == "incomplete message"


def test_the_stream_ends_in_a_message_whose_beginning_has_left(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing)
    client, server = wire.connect()
    client.send(THREE[:1])
    assert server.receive(1) == THREE[:1]
    wire.apply("stall")
    client.send(THREE[1:3])
    client.finish()
    wire.until(lambda stats: stats.forward_pieces == 1)
    wire.heal()
    assert server.receive(3) == THREE[1:3]
    assert travelled(wire) == [(Kind.CHUNK, THREE[:3], "incomplete message", True)]


def test_a_describer_that_fails_breaks_nothing(open_link: OpenLink, framing: str) -> None:
    wire = open_link(framing=framing, describe="builtins:int")
    client, server = wire.connect()
    client.send(ONE)
    assert server.receive(4) == ONE
    assert [event.label for event in wire.events() if event.data] == ['03 "one"']


def test_who_has_many_small_messages_in_line_does_not_keep_others_waiting(
    open_link: OpenLink, framing: str
) -> None:
    wire = open_link(framing=framing)
    (many, _), (one, server) = wire.connect(), wire.connect()
    wire.apply("stall")
    many.send(bytes(2_000))
    wire.until(lambda stats: stats.forward_pieces == 2_000)
    one.send(ONE)
    wire.until(lambda stats: stats.forward_pieces == 2_001)
    wire.heal()
    assert server.receive(4) == ONE
    arrived = [event for event in wire.events() if event.kind is Kind.MESSAGE]
    (other,) = [event for event in arrived if event.data == ONE]
    assert any(event.arrive_s is None or event.arrive_s > other.arrive_s for event in arrived)


def test_after_many_small_messages_less_is_read_at_once(framing: str) -> None:
    spec = LinkSpec("a->b", "a", "b", ANYWHERE, (ANYWHERE,), framing=framing)
    reader = intake.Intake(Link(spec, Tap(), seed=7), "forward", 0)

    def after(data: bytes) -> int:
        reader.admit(data, 0.0)
        return reader.read_bytes

    assert after(ONE) == after(message(b"x" * 100) * 256) == intake.READ_BYTES
    assert after(message(b"x" * 99) * 512) == 100 * 256
    assert after(bytes(1_000)) == intake.LEAST_READ_BYTES
    assert [after(ONE) for _ in range(9)] == [2 ** (11 + n) for n in range(8)] + [intake.READ_BYTES]
    assert after(bytes(1_000) + b"\xff") == intake.READ_BYTES  # no messages any more


def test_small_messages_in_line_are_bounded_in_number(
    open_link: OpenLink, framing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "MAX_QUEUED_BYTES", 10 * (1 + line.BESIDE_BYTES))
    wire = open_link(framing=framing)
    (many, server), (one, _) = wire.connect(), wire.connect()
    wire.apply("stall")
    many.send(bytes(1_000))
    wire.until(lambda stats: stats.forward_pieces == 1_000)
    many.send(bytes(1_000))
    one.send(ONE)
    stats = wire.until(lambda stats: stats.forward_bytes % 1_000 == len(ONE))
    assert stats.forward_pieces == 1_000 + 1
    wire.heal()
    assert server.receive(2_000) == bytes(2_000)
