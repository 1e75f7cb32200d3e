from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.trace.event import Effect, Event, Kind, from_json, to_json

times = st.integers(0, 10**12).map(lambda microseconds: microseconds / 1e6)
events = st.builds(
    Event,
    t_s=times,
    link=st.text(),
    kind=st.sampled_from(Kind),
    direction=st.sampled_from(["", "forward", "backward"]),
    data=st.binary(),
    size=st.integers(0, 2**40),
    label=st.text(),
    note=st.text(),
    connection=st.integers(0, 2**31),
    arrive_s=st.none() | times,
)


@given(events)
def test_an_event_survives_its_line(event: Event) -> None:
    line = to_json(event)
    assert "\n" not in line
    assert line.isascii()
    json.loads(line)
    assert from_json(line) == event


@given(events, st.data())
def test_a_torn_line_is_no_event(event: Event, data: st.DataObject) -> None:
    line = to_json(event)
    with pytest.raises(ValueError):
        from_json(line[: data.draw(st.integers(0, len(line) - 1))])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"t_s":1,"link":"a","kind":"gossip"}',
        '{"t_s":1,"link":"a","kind":"mark","bytes":"%"}',
        '{"t_s":1,"link":"a","kind":"mark","colour":"red"}',
    ],
)
def test_what_was_not_written_by_us_is_no_event(line: str) -> None:
    with pytest.raises(ValueError):
        from_json(line)


def test_sender_and_receiver_follow_the_direction() -> None:
    there = Event(t_s=0, link="a->b", kind=Kind.CHUNK, direction="forward")
    back = Event(t_s=0, link="a->b", kind=Kind.CHUNK, direction="backward")
    alone = Event(t_s=0, link="a", kind=Kind.NODE)
    assert (there.sender, there.receiver) == ("a", "b")
    assert (back.sender, back.receiver) == ("b", "a")
    assert (alone.sender, alone.receiver) == ("a", "a")


def test_effects_are_the_first_words_of_the_notes_phrases() -> None:
    event = Event(
        t_s=0, link="a->b", kind=Kind.DATAGRAM, note="corrupted byte 17, duplicate, seen twice lost"
    )
    assert event.effects == {Effect.CORRUPTED, Effect.DUPLICATE}
