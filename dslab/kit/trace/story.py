"""A trace as a story: what of it matters for one check, and in which rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from dslab.kit.trace.columns import GRADER
from dslab.kit.trace.event import CARRIES_BYTES, LATE, Effect, Event, Kind, NodeState
from dslab.kit.trace.fold import Item, fold

BEGIN = "begin"
FAILED = "failed"
END = "end"
GETTING_READY = frozenset({NodeState.STARTED, NodeState.READY})


@dataclass(frozen=True, slots=True)
class Story:
    """What there is to tell.

    Attributes:
        events: All that matters, in the order of time; the failure is one of them.
        items: The same as rows, like ones folded.
        start_s: From when time counts: from when everything was up.
        failed_at_s: When the check failed; None if it did not.
    """

    events: tuple[Event, ...]
    items: tuple[Item, ...]
    start_s: float
    failed_at_s: float | None

    @property
    def last(self) -> Event | None:
        """The message before the failure that did it, most likely.

        It is the one that came last, late ones counting from when they arrived; one of the grader's own, if
        it had any; and a lost one only where all were lost.
        """
        failed_at_s = self.failed_at_s
        if failed_at_s is None:
            return None
        before = [
            event for event in self.events if event.kind in CARRIES_BYTES and _end_s(event) <= failed_at_s
        ]
        concerned = [event for event in before if GRADER in (event.sender, event.receiver)] or before
        got_through = [event for event in concerned if Effect.LOST not in event.effects] or concerned
        return max(reversed(got_through), key=_end_s, default=None)

    @property
    def unanswered(self) -> list[int]:
        """The open connections, of the link where it failed, on which the grader spoke last."""
        last = self.last
        if last is None or last.sender != GRADER:
            return []
        latest: dict[int, Event] = {}
        for event in self.events:
            if event.link == last.link and event.t_s <= (self.failed_at_s or 0.0):
                latest[event.connection] = event
        waiting = (number for number, event in latest.items() if _is_request(event))
        return sorted(waiting)

    @property
    def many(self) -> frozenset[str]:
        """The links that had more than one connection, so that it matters which."""
        return frozenset(event.link for event in self.events if event.connection > 0)


def tell(events: Sequence[Event], failed_at_s: float | None = None) -> Story:
    """Leave out the start of what was up before anything happened, put the failure in its place, and fold.

    Args:
        events: In the order of time.
        failed_at_s: When the check failed; without it, when the trace says so, if it does.
    """
    if failed_at_s is None:
        failed_at_s = next((event.t_s for event in events if is_check(event, FAILED)), None)
    start = list(takewhile(_only_gets_ready, events))
    chosen = [event for event in events[len(start) :] if not is_check(event, FAILED, END)]
    if failed_at_s is not None:
        chosen.append(Event(t_s=failed_at_s, link="", kind=Kind.CHECK, label=FAILED))
        chosen.sort(key=lambda event: event.t_s)
    start_s = start[-1].t_s if start else chosen[0].t_s if chosen else 0.0
    return Story(tuple(chosen), tuple(fold(chosen, failed_at_s)), start_s, failed_at_s)


def is_check(event: Event, *labels: str) -> bool:
    """Whether the event is one of those moments of the check."""
    return event.kind is Kind.CHECK and event.label in labels


def _only_gets_ready(event: Event) -> bool:
    """Whether it is about the start of a service: before anything else happens, that is no news."""
    return is_check(event, BEGIN) or (event.kind is Kind.NODE and event.label in GETTING_READY)


def _end_s(event: Event) -> float:
    late = event.effects & LATE and event.arrive_s is not None
    return event.arrive_s or event.t_s if late else event.t_s


def _is_request(event: Event) -> bool:
    return event.kind in CARRIES_BYTES and event.sender == GRADER
