"""What a trace consists of: one frozen event, and its form as a line of JSON. Pure: no clock, no file.

=========  ==================  ============  ===============================  ==========================
kind       link                direction     label                            note
=========  ==================  ============  ===============================  ==========================
OPEN       ``client->server``  forward       ""                               why it failed, if it did
CLOSE      ``client->server``  whose end     ""                               e.g. ``half-close``
RESET      ``client->server``  whose reset   ""                               e.g. ``injected``
CHUNK      ``client->server``  of travel     "" or the describer's            effects, see below
MESSAGE    ``client->server``  of travel     the describer's                  effects
DATAGRAM   ``client->server``  of travel     the describer's                  effects
FAULT      ``client->server``  "" is both    ``stall``, ``delay 0.2 s``,      ``on`` (it lasts), ``off``,
                                             ``cut``, ``heal``                "" (it happened once)
NODE       the service         ""            one of `NodeState`               e.g. ``exit status 1``
MARK       the service         ""            the text the student printed     ""
CHECK      ""                  ""            ``begin``, ``failed``, ``end``   what it says about that
=========  ==================  ============  ===============================  ==========================

The note of something that travelled holds what the link did to it: words of `Effect`, joined by ``", "``, and
more words may follow each (``corrupted byte 17, duplicate``). A ``heal`` ends every fault of its link.
`Event.connection` counts the connections of a link from 0; a datagram has the number of its sender's socket.

``t_s`` is in seconds since the run began, by the wall clock, because the links container of the docker
backend has to share it. ``arrive_s`` is when the thing left the link on the far side; None if it never did.
"""

from __future__ import annotations

import json
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from enum import StrEnum
from json.encoder import encode_basestring_ascii as _quoted
from typing import Literal

Direction = Literal["", "forward", "backward"]


class Kind(StrEnum):
    """What happened."""

    OPEN = "open"
    CLOSE = "close"
    RESET = "reset"
    CHUNK = "chunk"
    MESSAGE = "message"
    DATAGRAM = "datagram"
    FAULT = "fault"
    NODE = "node"
    MARK = "mark"
    CHECK = "check"


class NodeState(StrEnum):
    """What a NODE event says about its service."""

    STARTED = "started"
    READY = "ready"
    KILLED = "killed"
    PAUSED = "paused"
    RESUMED = "resumed"
    EXITED = "exited"


class Effect(StrEnum):
    """What a link did to one thing that travelled over it."""

    LOST = "lost"
    DUPLICATE = "duplicate"
    CORRUPTED = "corrupted"
    REORDERED = "reordered"
    DELAYED = "delayed"
    FRAGMENT = "fragment"
    COALESCED = "coalesced"


CARRIES_BYTES = frozenset({Kind.CHUNK, Kind.MESSAGE, Kind.DATAGRAM})
# Effects that a message owes its late arrival to.
LATE = frozenset({Effect.DELAYED, Effect.REORDERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. The module's table says what each kind puts where.

    Attributes:
        t_s: When it happened, or set off; seconds since the run began.
        link: ``source->target``; the service's name for NODE and MARK; empty for CHECK.
        kind: What happened.
        direction: ``forward`` is from the link's source to its target.
        data: The bytes kept, at most the recorder's limit.
        size: The whole length in bytes, kept or not.
        label: What to write on the arrow.
        note: What the link did to it, or what else there is to say.
        connection: Which connection of its link.
        arrive_s: When it left the link; None if it never did.
    """

    t_s: float
    link: str
    kind: Kind
    direction: Direction = ""
    data: bytes = b""
    size: int = 0
    label: str = ""
    note: str = ""
    connection: int = 0
    arrive_s: float | None = None

    @property
    def sender(self) -> str:
        """The service that it comes from (itself, for what concerns one service only)."""
        source, _, target = self.link.partition("->")
        return target if self.direction == "backward" and target else source

    @property
    def receiver(self) -> str:
        """The service that it goes to (itself, for what concerns one service only)."""
        source, _, target = self.link.partition("->")
        return source if self.direction == "backward" or not target else target

    @property
    def effects(self) -> frozenset[Effect]:
        """What the link did to it, read from the note."""
        if not self.note:
            return frozenset()
        words = {phrase.split(" ", 1)[0] for phrase in self.note.split(", ")}
        return frozenset(effect for effect in Effect if effect.value in words)


def to_json(event: Event) -> str:
    """One line without its newline. Fields at their default are left out: a trace is mostly short lines.

    Written by hand because it stands in the path of every message: a third of what `json.dumps` costs.
    """
    line = f'{{"t_s":{event.t_s:.6f},"link":{_quoted(event.link)},"kind":"{event.kind.value}"'
    if event.direction:
        line += f',"direction":"{event.direction}"'
    if event.arrive_s is not None:
        line += f',"arrive_s":{event.arrive_s:.6f}'
    if event.size:
        line += f',"size":{event.size}'
    if event.connection:
        line += f',"connection":{event.connection}'
    if event.label:
        line += f',"label":{_quoted(event.label)}'
    if event.note:
        line += f',"note":{_quoted(event.note)}'
    if event.data:
        line += f',"bytes":"{b2a_base64(event.data, newline=False).decode("ascii")}"'
    return line + "}"


def from_json(line: str) -> Event:
    """The event on that line.

    Raises:
        ValueError: The line is no event: torn, or not written by `to_json`.
    """
    try:
        fields = json.loads(line)
        data = a2b_base64(fields.pop("bytes", ""), strict_mode=True)
        return Event(**{**fields, "kind": Kind(fields["kind"]), "data": data})
    except (TypeError, KeyError, AttributeError, Base64Error) as error:
        raise ValueError(f"not an event: {line[:80]!r}") from error
