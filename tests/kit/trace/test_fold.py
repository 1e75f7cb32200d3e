from __future__ import annotations

from dslab.kit.trace.event import Direction, Event, Kind
from dslab.kit.trace.fold import MAX_ITEMS, Fold, Item, fold

BOTH: tuple[tuple[float, Direction], ...] = ((0.0, "forward"), (0.5, "backward"))


def message(t_s: float, direction: Direction = "forward", label: str = "", note: str = "") -> Event:
    return Event(
        t_s=t_s, link="a->b", kind=Kind.MESSAGE, direction=direction, size=1_000, label=label, note=note
    )


def rounds(count: int, start_s: float = 0.0) -> list[Event]:
    return [
        message(start_s + number + later, direction) for number in range(count) for later, direction in BOTH
    ]


def folds(items: list[Item]) -> list[Fold]:
    return [item for item in items if isinstance(item, Fold)]


def unfolded(items: list[Item]) -> list[Event]:
    return [event for item in items for event in (item.events if isinstance(item, Fold) else (item,))]


def test_a_short_trace_is_shown_whole() -> None:
    events = rounds(20)
    assert fold(events) == events


def test_the_middle_of_a_long_conversation_is_one_row() -> None:
    events = rounds(1_000)
    items = fold(events)
    [folded] = folds(items)
    assert len(items) == 2 * (4 + 3) + 1
    assert folded.text == "1,986 more messages, 2.0 MB, 992 s"
    assert unfolded(items) == events


def test_folding_begins_anew_at_what_tells_the_story() -> None:
    killed = Event(t_s=100.2, link="b", kind=Kind.NODE, label="killed")
    events = [*rounds(100), killed, *rounds(100, start_s=101)]
    items = fold(events)
    assert killed in items
    assert len(folds(items)) == 2
    at = items.index(killed)
    assert items[at - 1] == events[199]
    assert items[at + 1] == events[201]


def test_a_loss_is_not_like_a_delivery() -> None:
    events = rounds(100)
    lost = message(50.1, note="lost")
    items = fold(sorted([*events, lost], key=lambda event: event.t_s))
    assert lost in items


def test_many_losses_are_folded_too_and_counted() -> None:
    events = [message(number, note="lost" if number % 3 == 0 else "") for number in range(900)]
    [folded] = folds(fold(events))
    assert "of them lost" in folded.text


def test_labels_that_repeat_tell_sorts_apart() -> None:
    """A commit among a thousand prepares is news; a payload that is another each time is not."""
    prepares = [message(number, label="prepare x") for number in range(1_000)]
    commit = message(500.5, label="commit x")
    items = fold(sorted([*prepares, commit], key=lambda event: event.t_s))
    assert commit in items
    payloads = [message(number, label=f"{number} bytes") for number in range(1_000)]
    assert len(fold(payloads)) == 8


def test_whatever_comes_there_is_a_bound() -> None:
    faults = [
        Event(t_s=number, link="a->b", kind=Kind.FAULT, label="cut", note="") for number in range(5_000)
    ]
    items = fold(faults)
    assert len(items) <= MAX_ITEMS + 1
    assert unfolded(items) == faults


def test_the_clearing_up_after_a_failure_is_short() -> None:
    failed = Event(t_s=10.0, link="", kind=Kind.CHECK, label="failed")
    exits = [
        Event(t_s=11 + number, link=f"n{number}", kind=Kind.NODE, label="exited") for number in range(30)
    ]
    items = fold([failed, *exits], failed_at_s=10.0)
    assert len(items) == 9
    assert items[0] == failed
    assert unfolded(items) == [failed, *exits]


def test_a_fold_names_what_it_hides() -> None:
    opens = [Event(t_s=number, link="a->b", kind=Kind.OPEN, connection=number) for number in range(50)]
    pieces = [Event(t_s=number + 0.5, link="a->b", kind=Kind.CHUNK, size=10) for number in range(50)]
    [folded] = folds(fold(sorted([*opens, *pieces], key=lambda event: event.t_s)))
    assert folded.text == "43 more pieces, 430 B, 43 connections, 42.5 s"
