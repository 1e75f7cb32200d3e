"""A picture as one HTML page that needs nothing else: no network, no other file, no script to be read.

The template writes every text escaped: what a student's program sends is shown, never obeyed. The page's own
script and style are named by their hashes in its content security policy, so a browser runs nothing else.
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

from dslab.kit.trace.account import Clock, details, legend, summary
from dslab.kit.trace.columns import characters
from dslab.kit.trace.event import Event
from dslab.kit.trace.layout import BOLD_CHARACTER_PX, lay_out
from dslab.kit.trace.quantity import shorten

if TYPE_CHECKING:
    from jinja2 import Environment

_HEX_BYTE = re.compile(r"(?<!\S)[0-9a-f]{2}(?!\S)")
TEMPLATES = Path(__file__).parent / "templates"
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


def write_html(  # noqa: PLR0917  what it draws, what it is called, where it goes
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
            legend=legend(picture),
            details=details(picture),
            summary=summary(picture),
            tooltip=Clock(picture.start_s, picture.unit).tooltip,
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
        finalize=_clean,
    )
    environment.filters["cut"] = lambda text: shorten(text, MAX_CAPTION_CHARS)
    environment.filters["text_px"] = lambda text: characters(text) * BOLD_CHARACTER_PX
    environment.filters["px"] = lambda value: f"{value:.1f}".removesuffix(".0")
    environment.filters["embed"] = _embed
    return environment


def _clean(value: Any) -> Any:
    """Text without what a page must not hold: control characters, direction marks, halves of characters."""
    if type(value) is not str:  # markup of our own passes as it is
        return value
    return "".join(
        character if character.isprintable() or character in "\n\t" else "·" for character in value
    )


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
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _difference(caption: Caption) -> tuple[str, str, str] | None:
    """What expected and actual begin with in common, and how each goes on."""
    if not caption.expected or not caption.actual:
        return None
    pairs = zip(caption.expected, caption.actual, strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if _HEX_BYTE.match(caption.expected, common - 1) and _HEX_BYTE.match(caption.actual, common - 1):
        common -= 1  # not into the middle of a byte
    return caption.expected[:common], caption.expected[common:], caption.actual[common:]
