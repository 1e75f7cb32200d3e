"""A picture as one HTML page that needs nothing else: no network, no other file, and no JavaScript to be read.

The template writes every text escaped: what a student's program sends is shown, never obeyed. The page's own
script and style are named by their hashes in its content security policy, so a browser runs nothing else on it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslab.kit.trace.columns import characters, cut, write
from dslab.kit.trace.describe import printable
from dslab.kit.trace.event import CARRIES_BYTES, Event, Kind
from dslab.kit.trace.layout import clock, ending_of, lay_out
from dslab.kit.trace.picture import Arrow, Ending, Picture
from dslab.kit.trace.quantity import count, duration, shorten, size
from dslab.kit.trace.spans import Life

if TYPE_CHECKING:
    from jinja2 import Environment

_HEX_BYTE = re.compile(r"(?<!\S)[0-9a-f]{2}(?!\S)")
TEMPLATES = Path(__file__).parent / "templates"
BOLD_CHARACTER_PX = 7.4  # on the average in the widest of the fonts, at 12 px
MAX_SHOWN_BYTES = 400_000  # of messages that have an arrow, all together
MAX_BYTES_OF_ONE = 2_048
MAX_BYTES_OF_A_FOLDED_ONE = 64
MAX_FOLDED = 1_500  # messages listed behind folds
MAX_CAPTION_CHARS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What stands above the picture.

    Attributes:
        statement: The property that should hold.
        verdict: ``pass``, ``fail``, ``error`` or empty.
        message: What was wrong, in one line.
        sent: What the grader sent last.
        expected: What should have come back.
        actual: What came back.
        stderr: What the programs under test last wrote to stderr.
        facts: Whatever else identifies the run: lab, seed, backend.
    """

    statement: str = ""
    verdict: str = ""
    message: str = ""
    sent: str = ""
    expected: str = ""
    actual: str = ""
    stderr: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def write_html(
    events: Sequence[Event],
    columns: Sequence[str],
    title: str,
    path: Path,
    failed_at_s: float | None = None,
    caption: Caption | None = None,
) -> None:
    """Write the picture of one check; the file appears whole or not at all.

    Args:
        events: In the order of time, as `recorder.read` gives them.
        columns: The services of the topology; one that nobody talked to gets a column too.
        title: The check's name.
        path: The file.
        failed_at_s: When the check failed; without it, when the trace says so, if it does.
        caption: What stands above the picture.
    """
    page = render(events, columns, title, failed_at_s, caption)
    aside = path.with_name(path.name + ".new")
    aside.write_text(page, encoding="utf-8", errors="replace")
    os.replace(aside, path)  # noqa: PTH105  Path.replace reads as if it replaced text


def render(
    events: Sequence[Event],
    columns: Sequence[str] = (),
    title: str = "",
    failed_at_s: float | None = None,
    caption: Caption | None = None,
) -> str:
    """The page as text; see `write_html`."""
    picture = lay_out(events, columns, failed_at_s)
    caption = caption or Caption()
    style, script = _asset("picture.css"), _asset("picture.js")
    return (
        _environment()
        .get_template("picture.html")
        .render(
            picture=picture,
            caption=caption,
            title=title,
            difference=_difference(caption),
            legend=_legend(picture),
            details=_details(picture),
            summary=_summary(picture),
            tooltip=_Clock(picture.start_s, picture.unit).tooltip,
            style=style,
            script=script,
            policy=_policy(style, script),
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cut"] = lambda text: shorten(text, MAX_CAPTION_CHARS)
    environment.filters["fitted"] = cut
    environment.filters["text_px"] = lambda text: characters(text) * BOLD_CHARACTER_PX
    environment.filters["px"] = lambda value: f"{value:.1f}".removesuffix(".0")
    environment.filters["embed"] = _embed
    return environment


@cache
def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A content security policy under which only this script and this style run, and nothing is fetched."""
    return f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _embed(value: Any) -> str:
    """JSON that may stand inside a script element: no ``<`` in it, so nothing can end the element."""
    from markupsafe import Markup

    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


def _difference(caption: Caption) -> tuple[str, str, str] | None:
    """What expected and actual begin with in common, and how each goes on."""
    if not caption.expected or not caption.actual:
        return None
    pairs = zip(caption.expected, caption.actual, strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if _HEX_BYTE.match(caption.expected, common - 1) and _HEX_BYTE.match(caption.actual, common - 1):
        common -= 1  # not into the middle of a byte
    return caption.expected[:common], caption.expected[common:], caption.actual[common:]


@dataclass(frozen=True, slots=True)
class _Clock:
    """Says when something was, as the gutter says it."""

    start_s: float
    unit: str

    def __call__(self, event: Event) -> str:
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
    words = [printable(event.note)] if event.note else []
    if ending is Ending.HELD:
        return [*words, "never delivered"]
    if event.arrive_s is not None and event.arrive_s - event.t_s >= 0.001:
        return [*words, f"delivered {duration(event.arrive_s - event.t_s)} later"]
    return words


def _details(picture: Picture) -> dict[str, Any]:
    """What the script shows when the reader points at something."""
    share = MAX_SHOWN_BYTES // max(1, len(picture.arrows))
    kept = max(MAX_BYTES_OF_A_FOLDED_ONE, min(MAX_BYTES_OF_ONE, share))
    listed = MAX_FOLDED // max(1, len(picture.folds))
    when = _Clock(picture.start_s, picture.unit)
    return {
        "arrows": [_detail(arrow.event, when, kept) for arrow in picture.arrows],
        "folds": [
            {
                "text": row.text,
                "whole": len(row.fold.events),
                "events": [
                    _detail(event, when, MAX_BYTES_OF_A_FOLDED_ONE) for event in row.fold.events[:listed]
                ],
            }
            for row in picture.folds
        ],
    }


def _detail(event: Event, when: _Clock, kept: int) -> dict[str, Any]:
    return {
        "from": event.sender,
        "to": event.receiver,
        "kind": "piece of a byte stream" if event.kind is Kind.CHUNK else event.kind.value,
        "label": shorten(write(event, frozenset()).label, 200),
        "at": when(event),
        "fate": ", ".join(_fate(event, ending_of(event))),
        "connection": event.connection,
        "size": event.size,
        "bytes": base64.b64encode(event.data[:kept]).decode("ascii"),
    }


def _summary(picture: Picture) -> str:
    """The picture in one sentence, for who cannot see it."""
    hidden = sum(len(row.fold.events) for row in picture.folds)
    messages = sum(arrow.event.kind in CARRIES_BYTES for arrow in picture.arrows)
    parts = [f"{', '.join(column.name for column in picture.columns)}: {count(messages, 'message')} drawn"]
    parts += [f"{hidden:,} more events folded"] if hidden else []
    parts += ["the check fails"] if picture.failure_y is not None else []
    return ", ".join(parts) + "."


def _legend(picture: Picture) -> list[tuple[str, str]]:
    """The signs that occur in this picture, with their meaning."""
    endings = {arrow.ending for arrow in picture.arrows}
    effects = {effect.value for arrow in picture.arrows for effect in arrow.event.effects}
    kinds = {arrow.event.kind for arrow in picture.arrows}
    lives = {line.life for line in picture.lifelines}
    notes = {sign.event.kind for sign in picture.signs}
    entries = [
        ("message", "a message, from sent to delivered", kinds & CARRIES_BYTES),
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
