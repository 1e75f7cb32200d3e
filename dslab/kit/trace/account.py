"""What a page says about a picture in words: tooltips, bytes, legend, a sentence for who cannot see it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from dslab.kit.trace.columns import write
from dslab.kit.trace.describe import MAX_LABEL_CHARS, printable
from dslab.kit.trace.event import CARRIES_BYTES, Event, Kind
from dslab.kit.trace.layout import clock, ending_of
from dslab.kit.trace.picture import Arrow, Ending, Picture
from dslab.kit.trace.quantity import count, duration, shorten, size
from dslab.kit.trace.spans import Life

MAX_SHOWN_BYTES = 400_000  # of messages that have an arrow, all together
MAX_BYTES_OF_ONE = 2_048
MAX_BYTES_OF_A_FOLDED_ONE = 64
MAX_FOLDED = 800  # messages listed behind folds, all together
MAX_FOLDED_CHARS = 60


@dataclass(frozen=True, slots=True)
class Clock:
    """Says when something was, as the gutter says it."""

    start_s: float
    unit: str

    def __call__(self, event: Event) -> str:
        """``12.3 ms``, from when time counts in this picture."""
        return f"{clock(event.t_s - self.start_s, self.unit)} {self.unit}"

    def tooltip(self, arrow: Arrow) -> str:
        """What is said about an arrow where there is no script, and to a screen reader."""
        event = arrow.event
        words = [f"{event.sender} to {event.receiver}", f"at {self(event)}"]
        words += [f"connection {event.connection}"] if arrow.connection else []
        words += [f"{write(event, frozenset()).label}"]
        words += [size(event.size)] if event.kind in CARRIES_BYTES else []
        return ", ".join([*words, *_fate(event, arrow.ending)])


def _fate(event: Event, ending: Ending) -> list[str]:
    words = [printable(shorten(event.note, MAX_LABEL_CHARS))] if event.note else []
    if ending is Ending.HELD:
        return [*words, "never delivered"]
    if event.arrive_s is not None and event.arrive_s - event.t_s >= 0.001:
        return [*words, f"delivered {duration(event.arrive_s - event.t_s)} later"]
    return words


def details(picture: Picture) -> dict[str, Any]:
    """What the script shows when the reader points at something."""
    share = MAX_SHOWN_BYTES // max(1, len(picture.arrows))
    kept = max(MAX_BYTES_OF_A_FOLDED_ONE, min(MAX_BYTES_OF_ONE, share))
    listed = MAX_FOLDED // max(1, len(picture.folds))
    when = Clock(picture.start_s, picture.unit)
    return {
        "arrows": [_detail(arrow.event, when, kept) for arrow in picture.arrows],
        "folds": [
            {
                "text": row.text,
                "whole": len(row.fold.events),
                "events": [
                    _detail(event, when, MAX_BYTES_OF_A_FOLDED_ONE, MAX_FOLDED_CHARS)
                    for event in row.fold.events[:listed]
                ],
            }
            for row in picture.folds
        ],
    }


def _detail(event: Event, when: Clock, kept: int, most_chars: int = MAX_LABEL_CHARS) -> dict[str, Any]:
    return {
        "from": event.sender,
        "to": event.receiver,
        "kind": "piece of a byte stream" if event.kind is Kind.CHUNK else event.kind.value,
        "label": shorten(write(event, frozenset()).label, most_chars),
        "at": when(event),
        "fate": shorten(", ".join(_fate(event, ending_of(event))), most_chars),
        "connection": event.connection,
        "size": event.size,
        "bytes": base64.b64encode(event.data[:kept]).decode("ascii"),
    }


def summary(picture: Picture) -> str:
    """The picture in one sentence, for who cannot see it."""
    hidden = sum(len(row.fold.events) for row in picture.folds)
    messages = sum(arrow.event.kind in CARRIES_BYTES for arrow in picture.arrows)
    parts = [f"{', '.join(column.name for column in picture.columns)}: {count(messages, 'message')} drawn"]
    parts += [f"{hidden:,} more events folded"] if hidden else []
    parts += ["the check fails"] if picture.failure_y is not None else []
    return ", ".join(parts) + "."


def legend(picture: Picture) -> list[tuple[str, str]]:
    """The signs that occur in this picture, with their meaning."""
    endings = {arrow.ending for arrow in picture.arrows}
    effects = {effect.value for arrow in picture.arrows for effect in arrow.event.effects}
    kinds = {arrow.event.kind for arrow in picture.arrows}
    lives = {line.life for line in picture.lifelines}
    notes = {sign.event.kind for sign in picture.signs}
    entries = [
        ("message", _what(kinds), kinds & CARRIES_BYTES),
        ("open", "a connection opens or closes", kinds & {Kind.OPEN, Kind.CLOSE}),
        ("reset", "a connection is reset", Kind.RESET in kinds),
        ("lost", "lost", Ending.LOST in endings),
        ("held", "held back, never delivered", Ending.HELD in endings),
        ("refused", "refused", Ending.REFUSED in endings),
        ("duplicate", "delivered again", "duplicate" in effects),
        ("corrupted", "changed on the way", "corrupted" in effects),
        ("blocked", "nothing gets through", any(band.blocks for band in picture.bands)),
        ("shaped", "a fault is at work", any(not band.blocks for band in picture.bands)),
        ("down", "not running", Life.DOWN in lives),
        ("paused", "paused", Life.PAUSED in lives),
        ("mark", "said by the program itself", Kind.MARK in notes),
        ("last", "the last message before the failure", any(arrow.last for arrow in picture.arrows)),
    ]
    return [(name, meaning) for name, meaning, occurs in entries if occurs]


def _what(kinds: set[Kind]) -> str:
    """What the arrows of a picture are."""
    pieces = ["a piece of a byte stream"] if Kind.CHUNK in kinds else []
    messages = ["a message"] if kinds & {Kind.MESSAGE, Kind.DATAGRAM} else []
    return f"{' or '.join(messages + pieces)}, from sent to delivered"
