from __future__ import annotations

from math import inf

from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.spans import FaultSpan, Life, LifeSpan, faults, lives


def node(t_s: float, label: str) -> Event:
    return Event(t_s=t_s, link="s", kind=Kind.NODE, label=label)


def fault(t_s: float, label: str, note: str = "on", link: str = "a->b", direction: str = "") -> Event:
    return Event(
        t_s=t_s,
        link=link,
        kind=Kind.FAULT,
        label=label,
        note=note,
        direction=direction,  # type: ignore[arg-type]
    )


def test_a_service_without_news_lives_throughout() -> None:
    assert lives([], ["s"]) == [LifeSpan("s", -inf, inf, Life.ALIVE)]


def test_a_life_with_its_gaps() -> None:
    events = [node(1, "started"), node(2, "ready"), node(3, "killed"), node(4, "started"), node(5, "paused")]
    events += [node(6, "resumed"), node(7, "exited"), node(8, "of unknown meaning")]
    spans = lives(events, ["s"])
    assert [(span.start_s, span.end_s, span.life) for span in spans] == [
        (-inf, 1, Life.DOWN),
        (1, 3, Life.ALIVE),
        (3, 4, Life.DOWN),
        (4, 5, Life.ALIVE),
        (5, 6, Life.PAUSED),
        (6, 7, Life.ALIVE),
        (7, inf, Life.DOWN),
    ]


def test_one_whose_first_news_is_its_death_was_alive() -> None:
    assert [span.life for span in lives([node(1, "killed")], ["s"])] == [Life.ALIVE, Life.DOWN]


def test_a_fault_lasts_until_it_is_healed() -> None:
    events = [fault(1, "stall"), fault(2, "delay 0.2 s"), fault(3, "heal", "off"), fault(4, "cut")]
    assert faults(events) == [
        FaultSpan("a->b", "", "stall", 1, 3),
        FaultSpan("a->b", "", "delay 0.2 s", 2, 3),
        FaultSpan("a->b", "", "cut", 4, inf),
    ]


def test_a_fault_ends_when_it_is_switched_off_or_set_anew() -> None:
    events = [
        fault(1, "delay 0.2 s"),
        fault(2, "delay 0.4 s"),
        fault(3, "delay", "off"),
        fault(4, "lose 0.1"),
    ]
    assert [(span.label, span.start_s, span.end_s) for span in faults(events)] == [
        ("delay 0.2 s", 1, 2),
        ("delay 0.4 s", 2, 3),
        ("lose 0.1", 4, inf),
    ]


def test_healing_concerns_one_link_and_the_empty_name_all() -> None:
    events = [
        fault(1, "cut"),
        fault(1, "cut", link="c->d"),
        fault(2, "heal", "off"),
        fault(3, "heal", "off", link=""),
    ]
    assert {(span.link, span.end_s) for span in faults(events)} == {("a->b", 2), ("c->d", 3)}


def test_the_two_directions_are_two_faults() -> None:
    events = [
        fault(1, "stall", direction="forward"),
        fault(2, "stall", direction="backward"),
        fault(3, "heal", "off"),
    ]
    assert [(span.direction, span.end_s) for span in faults(events)] == [("forward", 3), ("backward", 3)]


def test_what_happens_once_is_no_span() -> None:
    assert faults([fault(1, "reset", "")]) == []


def test_blocking_faults_are_known() -> None:
    spans = faults([fault(1, "partition {a} | {b}"), fault(2, "lose 0.3"), fault(3, "stall, forward")])
    assert [span.blocks for span in spans] == [True, False, True]
