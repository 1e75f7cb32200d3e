"""Which row stands how high, and where what set off in it arrives. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dslab.kit.trace.event import CARRIES_BYTES, LATE, Event, Kind
from dslab.kit.trace.fold import Fold, Item
from dslab.kit.trace.story import Story
from dslab.kit.trace.timeline import Timeline, scale_for

TOP_PX = 12.0
TRAVELS = CARRIES_BYTES | {Kind.OPEN, Kind.CLOSE, Kind.RESET}
SLANT_FROM_S = 0.001
MOST_BESIDE = 4  # on their way at the same time, itself included
# Room above and below a row's height.
ROW_PX = (17.0, 6.0)
NOTICE_PX = (17.0, 11.0)
FOLD_PX = (24.0, 22.0)
RULE_PX = (34.0, 16.0)


@dataclass(frozen=True, slots=True)
class Row:
    """An item and its height; for what travels, also the height at which it arrived."""

    item: Item
    y: float
    arrival_y: float


@dataclass(frozen=True, slots=True)
class Lanes:
    """Which lanes an item stands in. Lane i is to the right of column i."""

    position: Mapping[str, int]

    def of(self, item: Item) -> range:
        """The lanes between its ends; all of them for what concerns no service."""
        if isinstance(item, Fold):
            ranges = [self.of(event) for event in item.events]
            return range(min(lanes.start for lanes in ranges), max(lanes.stop for lanes in ranges))
        if item.kind is Kind.CHECK or item.sender not in self.position:
            return range(max(1, len(self.position)))
        first, last = sorted((self.position[item.sender], self.position[item.receiver]))
        return range(first, max(last, first + 1))


def schedule(story: Story, lanes: Lanes) -> tuple[list[Row], Timeline]:
    """Give every row its height, and every arrow its end."""
    moments = sorted(_moments(story))
    timeline = Timeline(max(1, len(lanes.position)), scale_for([t_s for t_s, _, _ in moments]), TOP_PX)
    left: dict[int, float] = {}
    arrived: dict[int, float] = {}
    for t_s, departs, index in moments:
        item = story.items[index]
        if not departs:
            arrived[index] = timeline.arrival(t_s, lanes.of(item), left[index])
            continue
        left[index] = timeline.row(t_s, lanes.of(item), *_room(item))
        arrived[index] = left[index]
        if isinstance(item, Fold):
            timeline.skip(item.events[-1].t_s, FOLD_PX[1])
        elif item.kind in TRAVELS:  # at once, until a later moment says otherwise
            arrived[index] = timeline.arrival(t_s, lanes.of(item), left[index])
    return [Row(story.items[index], y, arrived[index]) for index, y in sorted(left.items())], timeline


def _moments(story: Story) -> Iterator[tuple[float, bool, int]]:
    """When each row begins (True), and when what set off in it arrives, if its delay is drawn.

    Of equal times an arrival comes first, since an answer may leave at that very moment.
    """
    on_the_way = _OnTheWay([event for event in story.events if event.kind in TRAVELS])
    for index, item in enumerate(story.items):
        yield item.t_s, True, index
        if isinstance(item, Event) and item.kind in TRAVELS and _is_slanted(item, on_the_way, story):
            yield _end_s(item), False, index


def _is_slanted(event: Event, on_the_way: _OnTheWay, story: Story) -> bool:
    """Whether the delay of that event is drawn; one that a fault made is, if it can be seen.

    Of the others not that of one among many, as in a pipeline: their arrows would only cross each other's
    texts. And not that of one which would seem to arrive after the failure that it led to: the link and the
    grader look at the clock independently.
    """
    if _end_s(event) - event.t_s < SLANT_FROM_S:
        return False
    if event.effects & LATE:
        return True
    failed_at_s = story.failed_at_s
    crosses_failure = failed_at_s is not None and event.t_s <= failed_at_s < _end_s(event)
    return not crosses_failure and on_the_way.beside(event) <= MOST_BESIDE


class _OnTheWay:
    """Counts what is on its way at the same time, be it drawn or folded."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._departures = sorted(event.t_s for event in events)
        self._arrivals = sorted(_end_s(event) for event in events)

    def beside(self, event: Event) -> int:
        """How many others set off before it arrived, and had not arrived when it set off; itself included."""
        set_off = bisect_left(self._departures, _end_s(event))
        return set_off - bisect_right(self._arrivals, event.t_s)


def _end_s(event: Event) -> float:
    return event.t_s if event.arrive_s is None else event.arrive_s


def _room(item: Item) -> tuple[float, float]:
    if isinstance(item, Fold):
        return FOLD_PX
    match item.kind:
        case Kind.CHECK:
            return RULE_PX
        case Kind.FAULT:
            return NOTICE_PX
        case _:
            return ROW_PX
