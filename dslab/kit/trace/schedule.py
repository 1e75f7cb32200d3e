"""Which row stands how high, and where what set off in it arrives. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dslab.kit.trace.event import CARRIES_BYTES, Event, Kind
from dslab.kit.trace.fold import Fold, Item
from dslab.kit.trace.story import Story
from dslab.kit.trace.timeline import Timeline, scale_for

TOP_PX = 12.0
TRAVELS = CARRIES_BYTES | {Kind.OPEN, Kind.CLOSE, Kind.RESET}
# The order of moments at the same time.
ARRIVES, DEPARTS, ARRIVES_AT_ONCE = range(3)
SLANT_FROM_S = 0.001
MOST_CROSSED = 3  # rows that an arrow without a fault may cross
# Room above and below a row's height.
ROW_PX = (17.0, 6.0)
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
    moments = sorted(_moments(story.items))
    timeline = Timeline(max(1, len(lanes.position)), scale_for([t_s for t_s, _, _ in moments]), TOP_PX)
    left: dict[int, float] = {}
    arrived: dict[int, float] = {}
    for t_s, rank, index in moments:
        item = story.items[index]
        if rank != DEPARTS:
            arrived[index] = timeline.arrival(t_s, left[index])
            continue
        left[index] = timeline.row(t_s, lanes.of(item), *_room(item))
        if isinstance(item, Fold):
            timeline.skip(item.events[-1].t_s, FOLD_PX[1])
    return [Row(story.items[index], y, arrived.get(index, y)) for index, y in sorted(left.items())], timeline


def _moments(items: Sequence[Item]) -> Iterator[tuple[float, int, int]]:
    """When each row begins, and when what set off in it arrives.

    Of equal times an arrival comes first, since an answer may leave at that very moment.
    """
    times = [item.t_s for item in items]
    for index, item in enumerate(items):
        yield item.t_s, DEPARTS, index
        if isinstance(item, Event) and item.kind in TRAVELS:
            if item.arrive_s is not None and _is_slanted(item, item.arrive_s, times):
                yield item.arrive_s, ARRIVES, index
            else:
                yield item.t_s, ARRIVES_AT_ONCE, index


def _is_slanted(event: Event, arrive_s: float, times: Sequence[float]) -> bool:
    """Whether the delay of that event is drawn.

    Not if no fault made it and many others are on their way at the same time, as in a pipeline: their arrows
    would only cross each other's texts.
    """
    if arrive_s - event.t_s < SLANT_FROM_S:
        return False
    crossed = bisect_left(times, arrive_s) - bisect_right(times, event.t_s)
    return bool(event.effects) or crossed <= MOST_CROSSED


def _room(item: Item) -> tuple[float, float]:
    if isinstance(item, Fold):
        return FOLD_PX
    return RULE_PX if item.kind is Kind.CHECK else ROW_PX
