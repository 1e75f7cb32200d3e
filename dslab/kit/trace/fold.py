"""Which events a picture shows one by one, and which it folds into one row. Pure.

Two thousand requests and replies tell no more than the first few and the last few. What is kept of each phase
(the time between two things that tell the story: a fault, a death, the failure) is the beginning and the end
of every sort of message in it; the rest becomes a `Fold`, which knows what it hides.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from dslab.kit.trace.event import CARRIES_BYTES, Effect, Event, Kind
from dslab.kit.trace.quantity import count, duration, size

SHOW_ALL_BELOW = 60
KEEP_FIRST = 4
KEEP_LAST = 3
SMALLEST_FOLD = 4
MAX_ITEMS = 240
MAX_ITEMS_AFTER_FAILURE = 8
MAX_SORTS_OF_LABEL = 12

STORY = frozenset({Kind.FAULT, Kind.NODE, Kind.CHECK})
NOUNS = {
    Kind.OPEN: "connection",
    Kind.CLOSE: "close",
    Kind.RESET: "reset",
    Kind.FAULT: "fault",
    Kind.NODE: "service event",
    Kind.MARK: "mark",
    Kind.CHECK: "note",
}
# What these did to a message is seen from its neighbours; the others are news of their own.
QUIET_EFFECTS = frozenset({Effect.DELAYED, Effect.FRAGMENT, Effect.COALESCED})


@dataclass(frozen=True, slots=True)
class Fold:
    """A run of events that the picture shows as one row."""

    events: tuple[Event, ...]

    @property
    def t_s(self) -> float:
        """When the first of them happened."""
        return self.events[0].t_s

    @property
    def text(self) -> str:
        """``1,996 more messages, 12.1 MB, 0.40 s``."""
        messages = [event for event in self.events if event.kind in CARRIES_BYTES]
        parts = [f"{count(len(messages), *_noun(messages))}, {size(_bytes(messages))}"] if messages else []
        lost = sum(Effect.LOST in event.effects for event in messages)
        parts += ["all lost" if lost == len(messages) else f"{lost:,} of them lost"] if lost else []
        kinds = Counter(event.kind for event in self.events)
        if kinds[Kind.OPEN]:
            del kinds[Kind.CLOSE]  # goes without saying
        more = "" if parts else "more "
        parts += [count(kinds[kind], more + noun) for kind, noun in NOUNS.items() if kinds[kind]]
        return ", ".join([*parts, duration(self.events[-1].t_s - self.t_s)])


Item = Event | Fold


def fold(events: Sequence[Event], failed_at_s: float | None = None) -> list[Item]:
    """The rows of a picture, in the order of time."""
    hidden = _hidden(events) if len(events) > SHOW_ALL_BELOW else frozenset()
    items: list[Item] = []
    for is_hidden, run in groupby(range(len(events)), key=hidden.__contains__):
        chosen = [events[index] for index in run]
        items += [Fold(tuple(chosen))] if is_hidden and len(chosen) >= SMALLEST_FOLD else chosen
    return _bounded(items, failed_at_s)


def _hidden(events: Sequence[Event]) -> frozenset[int]:
    """The indexes of what is neither at the beginning nor at the end of its sort in its phase."""
    sort_of = _sorts(events)
    phase = 0
    members: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, event in enumerate(events):
        if event.kind in STORY:
            phase += 1
        else:
            members[phase, sort_of(event)].append(index)
    return frozenset(index for indexes in members.values() for index in indexes[KEEP_FIRST:-KEEP_LAST])


def _sorts(events: Iterable[Event]) -> _SortOf:
    words: defaultdict[Hashable, set[str]] = defaultdict(set)
    for event in events:
        words[_line(event)].add(_first_word(event))
    return _SortOf({line for line, seen in words.items() if len(seen) <= MAX_SORTS_OF_LABEL})


class _SortOf:
    """The sort of an event: where it goes, what was done to it and, where labels repeat, its label's verb."""

    def __init__(self, lines_with_verbs: set[Hashable]) -> None:
        self._lines_with_verbs = lines_with_verbs

    def __call__(self, event: Event) -> Hashable:
        line = _line(event)
        verb = _first_word(event) if line in self._lines_with_verbs else ""
        return line, verb, event.effects - QUIET_EFFECTS


def _line(event: Event) -> Hashable:
    return event.link, event.direction, event.kind


def _first_word(event: Event) -> str:
    return event.label.split(" ", 1)[0].split("(", 1)[0]


def _bounded(items: list[Item], failed_at_s: float | None) -> list[Item]:
    """No more items than a person can look through: middle and clearing up after the failure folded."""
    before = [item for item in items if failed_at_s is None or item.t_s <= failed_at_s]
    after = items[len(before) :]
    if len(after) > MAX_ITEMS_AFTER_FAILURE:
        after = [*after[: MAX_ITEMS_AFTER_FAILURE - 1], merge(after[MAX_ITEMS_AFTER_FAILURE - 1 :])]
    if len(before) > MAX_ITEMS:
        first, last = MAX_ITEMS // 3, MAX_ITEMS - MAX_ITEMS // 3
        before = [*before[:first], merge(before[first:-last]), *before[-last:]]
    return before + after


def merge(items: Iterable[Item]) -> Fold:
    """One fold of everything in those items."""
    each = (item.events if isinstance(item, Fold) else (item,) for item in items)
    return Fold(tuple(chain.from_iterable(each)))


def _bytes(messages: Iterable[Event]) -> int:
    return sum(message.size for message in messages)


def _noun(messages: Iterable[Event]) -> tuple[str, str]:
    noun = "piece" if all(message.kind is Kind.CHUNK for message in messages) else "message"
    return f"more {noun}", f"more {noun}s"
