"""What lasts: when each service lived, paused or was down, and when each link had a fault. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from dslab.kit.trace.event import Event, Kind, NodeState

# Nothing gets through a link with one of these; the other faults change what passes.
BLOCKING = frozenset({"cut", "stall", "partition", "refuse"})
HEAL = "heal"


class Life(StrEnum):
    """How a service is during a span."""

    ALIVE = "alive"
    PAUSED = "paused"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LifeSpan:
    """One service, in one state, from then until then (-inf and inf: as far as the picture goes)."""

    service: str
    start_s: float
    end_s: float
    life: Life


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """One fault of one link, from then until then."""

    link: str
    direction: str
    label: str
    start_s: float
    end_s: float

    @property
    def blocks(self) -> bool:
        """Whether nothing gets through meanwhile."""
        return _name(self.label) in BLOCKING


_LIFE_AFTER = {
    NodeState.STARTED: Life.ALIVE,
    NodeState.READY: Life.ALIVE,
    NodeState.RESUMED: Life.ALIVE,
    NodeState.PAUSED: Life.PAUSED,
    NodeState.KILLED: Life.DOWN,
    NodeState.EXITED: Life.DOWN,
}


def life_after(event: Event) -> Life | None:
    """How the service is after that NODE event; None for a state of which nothing is known."""
    try:
        return _LIFE_AFTER[NodeState(event.label)]
    except ValueError:
        return None


def lives(events: Sequence[Event], services: Iterable[str]) -> list[LifeSpan]:
    """Each service's life without gaps, spans of equal state joined."""
    changes: dict[str, list[tuple[float, Life]]] = {service: [] for service in services}
    for event in events:
        if event.kind is Kind.NODE and event.link in changes and (life := life_after(event)):
            changes[event.link].append((event.t_s, life))
    return [
        span for service, ours in changes.items() for span in _life(service, ours, _first(events, service))
    ]


def _first(events: Iterable[Event], service: str) -> Life:
    """A service whose first news is that it started was down before; any other was there already."""
    news = (event.label for event in events if event.kind is Kind.NODE and event.link == service)
    return Life.DOWN if next(news, "") == NodeState.STARTED else Life.ALIVE


def _life(service: str, changes: Sequence[tuple[float, Life]], life: Life) -> list[LifeSpan]:
    spans = []
    start_s = -inf
    for t_s, following in changes:
        if following is not life:
            spans.append(LifeSpan(service, start_s, t_s, life))
            start_s, life = t_s, following
    return [*spans, LifeSpan(service, start_s, inf, life)]


def faults(events: Iterable[Event]) -> list[FaultSpan]:
    """The faults that lasted, in the order in which they began."""
    spans: list[FaultSpan] = []
    current: dict[tuple[str, str, str], Event] = {}

    def close(key: tuple[str, str, str], end_s: float) -> None:
        began = current.pop(key)
        spans.append(FaultSpan(began.link, began.direction, began.label, began.t_s, end_s))

    for event in events:
        if event.kind is not Kind.FAULT:
            continue
        for key in [key for key in current if _ends(event, key)]:
            close(key, event.t_s)
        if event.note == "on":
            current[event.link, event.direction, _name(event.label)] = event
    for key in list(current):
        close(key, inf)
    return sorted(spans, key=lambda span: span.start_s)


def _ends(event: Event, key: tuple[str, str, str]) -> bool:
    """Whether that FAULT event ends the fault with that key: healed, switched off, or set anew."""
    link, direction, name = key
    if event.link not in ("", link):
        return False
    return _name(event.label) == HEAL or (name == _name(event.label) and event.direction in ("", direction))


def _name(label: str) -> str:
    """The fault's kind: ``stall`` of ``stall, forward``."""
    return label.split(" ", 1)[0].rstrip(",")
