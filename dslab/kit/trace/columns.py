"""Where the columns stand, and what is written on an arrow between two of them. Pure.

Text on an arrow is set in a monospaced face, so that its width is known here and nothing overlaps in a
browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from unicodedata import east_asian_width

from dslab.kit.trace.describe import MAX_LABEL_CHARS, default_label, printable
from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.fold import QUIET_EFFECTS
from dslab.kit.trace.picture import Column
from dslab.kit.trace.quantity import ELLIPSIS, shorten, size

GRADER = "grader"

GUTTER_PX = 84.0  # left of the first column: the times
MARGIN_PX = 150.0  # right of the last column: what is said about its service
HEAD_PX = 66.0  # from the times to the first column
HEAD_CHARACTER_PX = 8.7  # in the bold face of the names
HEAD_INSET_PX = 12.0
NARROWEST_HEAD_PX = 100.0
GAP_BETWEEN_HEADS_PX = 14.0
CHARACTER_PX = 7.4
INSET_PX = 14.0
NARROWEST_LANE_PX = 186.0
WIDEST_LANE_PX = 350.0
NARROWEST_PICTURE_PX = 340.0
MANY_COLUMNS = 5
WIDEST_OF_MANY_PX = 230.0
SHORTEST_LABEL = 8
SIZE_IS_NEWS_FROM = 17  # fewer bytes than that are read off the label


@dataclass(frozen=True, slots=True)
class Writing:
    """The parts of what is written on an arrow."""

    connection: str
    label: str
    detail: str
    effects: str
    described: bool = True  # the label says what it is; otherwise the detail says more than a long label

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """In the order in which they are written."""
        return self.connection, self.label, self.detail, self.effects

    @property
    def characters(self) -> int:
        """How many monospaced characters it takes."""
        return sum(
            characters(part) + 1 for part in (self.connection, self.label, self.detail, self.effects) if part
        )


def order(events: Iterable[Event], named: Iterable[str]) -> list[str]:
    """The services: the grader, then as they come into contact, then those that nobody talked to."""
    seen: dict[str, None] = {}
    silent: dict[str, None] = {}
    for event in events:
        source, arrow, target = event.link.partition("->")
        if arrow:
            seen |= {source: None, target: None}
        elif source:
            silent[source] = None
    names = list(seen | dict.fromkeys(named) | silent)
    return sorted(names, key=lambda name: name != GRADER)


def place(names: Sequence[str], events: Iterable[Event], many: frozenset[str]) -> tuple[Column, ...]:
    """The columns, as far apart as the texts between them want, within limits.

    Args:
        names: The services from left to right.
        events: What will be drawn.
        many: The links that had more than one connection, so that it matters which.
    """
    widest = WIDEST_LANE_PX if len(names) <= MANY_COLUMNS else WIDEST_OF_MANY_PX
    wanted = [NARROWEST_LANE_PX] * max(0, len(names) - 1)
    position = {name: index for index, name in enumerate(names)}
    for event in events:
        lane, px = _wish(event, position, many)
        if 0 <= lane < len(wanted):
            wanted[lane] = min(widest, max(wanted[lane], px))
    if wanted and sum(wanted) < NARROWEST_PICTURE_PX:
        wanted = [NARROWEST_PICTURE_PX / len(wanted)] * len(wanted)
    x = GUTTER_PX + HEAD_PX
    columns = []
    for name, px in zip(names, [*wanted, 0.0], strict=False):
        columns.append(_column(name, round(x)))
        x += px
    return tuple(columns)


def _column(name: str, x: float) -> Column:
    """A column under its name, which is cut where it would touch its neighbour's."""
    widest = NARROWEST_LANE_PX - GAP_BETWEEN_HEADS_PX
    label = cut(name, int((widest - 2 * HEAD_INSET_PX) / HEAD_CHARACTER_PX))
    width = max(NARROWEST_HEAD_PX, characters(label) * HEAD_CHARACTER_PX + 2 * HEAD_INSET_PX)
    return Column(name, x, label, round(width))


def write(event: Event, many: frozenset[str]) -> Writing:
    """What to write on the arrow of that event, in full."""
    connection = f"#{event.connection}" if event.link in many and event.kind is not Kind.DATAGRAM else ""
    match event.kind:
        case Kind.OPEN:
            return Writing(connection, "connect", _note(event), "")
        case Kind.CLOSE:
            return Writing(connection, _note(event) or "close", "", "")
        case Kind.RESET:
            return Writing(connection, "reset", _note(event), "")
        case _:
            label = (
                shorten(printable(event.label), MAX_LABEL_CHARS)
                if event.label
                else default_label(event.data, event.size)
            )
            told = event.size < SIZE_IS_NEWS_FROM or "byte" in event.label
            detail = "" if told else size(event.size)
            return Writing(connection, label or "(empty)", detail, effects(event), bool(event.label))


def _note(event: Event) -> str:
    return printable(shorten(event.note, MAX_LABEL_CHARS))


def fit(writing: Writing, px: float) -> Writing:
    """The same within that width. The detail gives way first, then the label's end, then the effects'."""
    room = int((px - 2 * INSET_PX) / CHARACTER_PX)
    if writing.characters <= room:
        return writing
    brief = replace(writing, detail="") if writing.described else writing
    excess = brief.characters - room
    brief = replace(brief, label=cut(brief.label, max(SHORTEST_LABEL, characters(brief.label) - excess)))
    excess = brief.characters - room
    return replace(brief, effects=cut(brief.effects, max(0, characters(brief.effects) - excess)))


def effects(event: Event) -> str:
    """What the link did to it, but for what is seen without words: ``lost``, ``corrupted byte 17``."""
    note = shorten(event.note, MAX_LABEL_CHARS)
    phrases = [phrase for phrase in note.split(", ") if phrase.split(" ", 1)[0] not in QUIET_EFFECTS]
    return printable(", ".join(phrases))


def characters(text: str) -> int:
    """How many monospaced characters wide a text is: East Asian ones are two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def cut(text: str, room: int) -> str:
    """The text within so many characters, with an ellipsis at its end where it was longer."""
    if characters(text[: room + 1]) <= room:
        return text
    if room <= 0:
        return ""
    head = text[: room - 1]
    while characters(head) > room - 1:
        head = head[:-1]
    return head.rstrip() + ELLIPSIS


def _wish(event: Event, position: dict[str, int], many: frozenset[str]) -> tuple[int, float]:
    """The lane that this event's text stands in alone, and how wide it wants it; lane -1 for none."""
    if event.kind in (Kind.NODE, Kind.MARK):
        return position[event.link], INSET_PX * 2 + CHARACTER_PX * (characters(event.label + event.note) + 4)
    if "->" not in event.link:
        return -1, 0.0
    ends = sorted((position[event.sender], position[event.receiver]))
    if ends[1] - ends[0] != 1:
        return -1, 0.0
    if event.kind is Kind.FAULT:
        return ends[0], INSET_PX * 2 + CHARACTER_PX * characters(event.label)
    return ends[0], INSET_PX * 2 + CHARACTER_PX * write(event, many).characters
