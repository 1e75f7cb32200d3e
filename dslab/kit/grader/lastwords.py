"""A program's last words: what its stderr says about why it ended, or about what went wrong in it. Pure.

Reads the tracebacks that Python writes, those of a SyntaxError (no header, the place in front) included.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from dslab.kit.grader.render import cut, harmless

MAX_LINES = 8
MAX_LINE_CHARACTERS = 160

_PLACE = re.compile(r'\s*File "(?P<path>[^"]+)", line (?P<line>\d+)')
_RAISED = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?:: (?P<text>.*))?\Z")
_INDENTED = (" ", "\t", "Traceback ", "During handling", "The above exception")
_HEADER = "Traceback (most recent call last)"  # that of a group has more in front
_AS_IT_ENDS = re.compile(r"\S+:\d+: \w*Warning: ")  # Python may say this after the last traceback
NOT_WRITTEN = "NotImplementedError"


@dataclass(frozen=True, slots=True)
class LastException:
    """The last exception that a program's stderr tells of.

    Attributes:
        text: ``ValueError: not a number``.
        file: The student's file where it was raised, or the innermost one; empty if unknown.
        line: The line in it.
    """

    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.text} ({self.file}, line {self.line})" if self.file else self.text


def last_exception(stderr: str, own_files: Collection[str] = ()) -> LastException | None:
    """Find the one that the stderr ends with; None if something else came after it.

    Who writes more has lived on: the traceback is of an exception that was caught. What is not written yet
    explains whatever follows. The innermost place in `own_files` is preferred, since that is where the
    student can look.
    """
    found: LastException | None = None
    for told in exceptions(stderr, own_files):
        if told or not (found and found.text.startswith(NOT_WRITTEN)):
            found = told
    return found


def exceptions(stderr: str, own_files: Collection[str] = ()) -> Iterator[LastException | None]:
    """Every exception that a stderr tells of, and None wherever something else begins."""
    places: list[tuple[str, int]] = []
    for line in stderr.splitlines():
        if _HEADER in line:
            places = []
            yield None
        elif place := _PLACE.match(line):
            places.append((PurePath(place["path"]).name, int(place["line"])))
        elif not line.strip() or line.startswith(_INDENTED) or _AS_IT_ENDS.match(line):
            continue
        elif places and (raised := _RAISED.match(line)):
            yield LastException(_text(raised), *_best(places, own_files))
            places = []
        else:
            yield None


def tail(stderr: str) -> str:
    """The last lines, every character harmless to a terminal, long lines cut."""
    lines = [line.rstrip() for line in stderr.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    kept = [cut(harmless(line.expandtabs(4)), MAX_LINE_CHARACTERS) for line in lines[-MAX_LINES:]]
    if len(lines) > MAX_LINES:
        kept.insert(0, f"... {len(lines) - MAX_LINES:,} lines before")
    return "\n".join(kept)


def _text(raised: re.Match[str]) -> str:
    text = raised["type"].rpartition(".")[2] + (f": {raised['text']}" if raised["text"] else "")
    return cut(harmless(text), MAX_LINE_CHARACTERS)


def _best(places: list[tuple[str, int]], own_files: Collection[str]) -> tuple[str, int]:
    own = [place for place in places if place[0] in {PurePath(name).name for name in own_files}]
    return (own or places)[-1]
