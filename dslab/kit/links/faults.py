"""What a link may do to its traffic. Pure: values only; `fate` and `lane` give them effect.

To a byte stream, per connection:

===============================  ==========================================================================
`Delay` s, jitter_s              each piece leaves that much later; in a stream the order stays
`Fragment` max_bytes, gap_s      each piece leaves in parts
`Coalesce` max_bytes, hold_s     pieces wait for each other and leave as one
`Throttle` bytes_per_s           the wire carries no more, all connections together
`Stall`                          connections are accepted; nothing is said
`HalfClose` after_bytes          the stream of one direction ends there; the other one goes on
`Reset` after_bytes              RST to both sides; without after_bytes at once, and once
`Cut`                            connections are closed, new ones at once
`Refuse`                         new connections are refused
===============================  ==========================================================================

To messages, that is to datagrams, and to a stream whose framing the link knows:

===============================  ==========================================================================
`Lose` p                         each is lost with probability p
`Duplicate` p                    each arrives twice
`Reorder` p, hold_s              each is overtaken by the next one (if that comes within hold_s)
`Corrupt` p, offset              one byte of each is another
===============================  ==========================================================================

`Partition` is silence, as in a network whose cable is out: nobody is told. Bytes of a stream wait, as TCP
would retransmit them, and arrive after the heal; datagrams are lost; new connections get no further than the
link. A closed connection, which tells both sides, is `Cut`.

A fault may be restricted to one ``direction`` (``forward`` is from source to target), and to the first
``count`` pieces that it meets (`Cut`, `Reset` and `HalfClose`: connections). A piece is a message, a datagram
or, where no framing is known, what one read from the socket brought.

Source: ch. 8, Failure models (crash, omission, timing, arbitrary); P. Deutsch, The eight fallacies of
distributed computing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal

from dslab.kit.errors import UsageError

Heading = Literal["forward", "backward"]
HEADINGS: tuple[Heading, ...] = ("forward", "backward")


def _number(
    read: type[int] | type[float], *, least: float, most: float = math.inf, default: Any = MISSING
) -> Any:
    return field(default=default, metadata={"read": read, "least": least, "most": most})


def _probability() -> Any:
    return _number(float, least=0.0, most=1.0, default=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What all faults have.

    Attributes:
        direction: Where it applies; None for both directions.
        count: It ends after so many pieces (or connections); None for no end.

    Class attributes:
        kind: Its name on the control channel and in statistics.
        transports: Where it makes sense.
        needs_messages: It has no meaning for a plain stream of bytes.
        countable: ``count`` makes sense.
        directed: ``direction`` makes sense.
        lasting: It stands until it is healed; otherwise it happens once.
    """

    direction: Heading | None = None
    count: int | None = _number(int, least=1, default=None)

    kind: ClassVar[str]
    transports: ClassVar[tuple[str, ...]] = ("tcp", "udp")
    needs_messages: ClassVar[bool] = False
    countable: ClassVar[bool] = True
    directed: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(self.kind, one, getattr(self, one.name))
        if self.direction is not None and (not self.directed or self.direction not in HEADINGS):
            raise UsageError(f"{self.kind}: {self.direction!r} is no direction that it can have.")
        if self.count is not None and not self.countable:
            raise UsageError(f"{self.kind} cannot be counted: it has no pieces.")

    @property
    def lasting(self) -> bool:
        """It stands until it is healed; otherwise it happens once."""
        return True

    def meets(self, heading: Heading) -> bool:
        """Does it apply to that direction?"""
        return self.direction in {None, heading}

    def __str__(self) -> str:
        given = [one.name for one in own_fields(type(self)) if _given(self, one)]
        values = [_phrase(name, getattr(self, name)) for name in given]
        limits = [self.direction or "", f"first {self.count}" if self.count else ""]
        return ", ".join([" ".join([self.kind, *values[:1]]), *values[1:], *filter(None, limits)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay(Fault):
    """Each piece leaves ``s`` later, give or take ``jitter_s``."""

    kind = "delay"
    s: float = _number(float, least=0.0)
    jitter_s: float = _number(float, least=0.0, default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment(Fault):
    """Each piece leaves in parts of at most ``max_bytes``.

    TCP may join parts again on their way to the program. So the first of them are ``gap_s`` apart, which a
    receiver that waits for them sees as so many pieces; the others follow without a pause.
    """

    kind = "fragment"
    transports = ("tcp",)
    max_bytes: int = _number(int, least=1)
    gap_s: float = _number(float, least=0.0, default=0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coalesce(Fault):
    """Pieces wait up to ``hold_s`` for each other, or until they are ``max_bytes``, and leave as one."""

    kind = "coalesce"
    transports = ("tcp",)
    countable = False
    max_bytes: int = _number(int, least=1, default=65_536)
    hold_s: float = _number(float, least=0.0, default=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle(Fault):
    """The wire carries ``bytes_per_s`` in each direction, for all connections together."""

    kind = "throttle"
    countable = False
    bytes_per_s: float = _number(float, least=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(Fault):
    """Connections are made, but their bytes wait for the heal. Datagrams are lost."""

    kind = "stall"
    countable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition(Fault):
    """Silence: bytes wait for the heal, connections do not reach the target, datagrams are lost."""

    kind = "partition"
    countable = False
    directed = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(Fault):
    """Connections are closed on both sides, new ones at once. Datagrams are lost."""

    kind = "cut"
    directed = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Fault):
    """RST to both sides: at once, and once; or in each connection after so many bytes in a direction."""

    kind = "reset"
    transports = ("tcp",)
    after_bytes: int | None = _number(int, least=0, default=None)

    @property
    def lasting(self) -> bool:
        """Only with a number of bytes does it wait for more connections."""
        return self.after_bytes is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfClose(Fault):
    """After so many bytes the receiver sees the end of the stream; what follows is lost."""

    kind = "half_close"
    transports = ("tcp",)
    direction: Heading | None = "forward"
    after_bytes: int = _number(int, least=0, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Fault):
    """Nobody listens; open connections stay. Counted once, when set: nobody sees who was refused."""

    kind = "refuse"
    transports = ("tcp",)
    countable = False
    directed = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lose(Fault):
    """Each message is lost with probability ``p``."""

    kind = "lose"
    needs_messages = True
    p: float = _probability()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate(Fault):
    """Each message arrives twice with probability ``p``."""

    kind = "duplicate"
    needs_messages = True
    p: float = _probability()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder(Fault):
    """With probability ``p`` a message waits to be overtaken by the next one, but at most ``hold_s``."""

    kind = "reorder"
    needs_messages = True
    p: float = _probability()
    hold_s: float = _number(float, least=0.0, default=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupt(Fault):
    """One byte of each message is changed with probability ``p``: the one at ``offset``, or any."""

    kind = "corrupt"
    p: float = _probability()
    offset: int | None = _number(int, least=0, default=None)


KINDS: Mapping[str, type[Fault]] = {
    fault.kind: fault
    for fault in (
        *(Delay, Fragment, Coalesce, Throttle, Stall, Partition, Cut, Reset, HalfClose, Refuse),
        *(Lose, Duplicate, Reorder, Corrupt),
    )
}


def own_fields(kind: type[Fault]) -> list[Field[Any]]:
    """The parameters of a kind of fault, without those that every fault has."""
    return [one for one in fields(kind) if one.name not in {"direction", "count"}]


def to_json(fault: Fault) -> dict[str, Any]:
    """The form that `from_json` reads, without what is at its default."""
    values = {one.name: getattr(fault, one.name) for one in fields(fault)}
    defaults = {one.name: one.default for one in fields(fault)}
    return {"kind": fault.kind} | {name: value for name, value in values.items() if value != defaults[name]}


def from_json(values: Any) -> Fault:
    """Read a fault from the control channel.

    Raises:
        UsageError: There is no such fault, or not with these parameters.
    """
    if not isinstance(values, dict) or values.get("kind") not in list(KINDS):
        raise UsageError(f"There is no such fault; there are: {', '.join(KINDS)}.")
    kind = KINDS[values["kind"]]
    names = [one.name for one in own_fields(kind)] + ["direction", "count"]
    given = {name: value for name, value in values.items() if name != "kind"}
    for name in given.keys() - set(names):
        raise UsageError(f"{kind.kind} has no {name!r}; it has: {', '.join(names)}.")
    for one in fields(kind):
        if one.default is MISSING and one.name not in given:
            raise UsageError(f"{kind.kind} needs {one.name}.")
    return kind(**given)


def from_words(words: Sequence[str]) -> Fault:
    """Read a fault as it is typed: ``delay 0.2``, ``lose 0.3 direction=backward count=1``.

    Raises:
        UsageError: There is no such fault, or not with these parameters.
    """
    kind = KINDS.get(words[0].replace("-", "_")) if words else None
    if kind is None:
        raise UsageError(f"There is no such fault; there are: {', '.join(KINDS)}.")
    in_order = iter(own_fields(kind))
    values: dict[str, Any] = {"kind": kind.kind}
    for word in words[1:]:
        name, equals, text = word.rpartition("=")
        place = next(in_order, None) if not equals else None
        if not equals and place is None:
            raise UsageError(f"{kind.kind} takes no {word!r}.")
        values[name if place is None else place.name] = _read(text)
    return from_json(values)


def _read(text: str) -> str | float | int:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _given(fault: Fault, one: Field[Any]) -> bool:
    return getattr(fault, one.name) is not None and getattr(fault, one.name) != one.default


def _phrase(name: str, value: float) -> str:
    """``s`` 0.2 is "0.2 s", ``after_bytes`` 3 is "after 3 bytes", ``p`` 0.3 is "0.3"."""
    words, _, unit = name.rpartition("_")
    match name, unit:
        case "p", _:
            return f"{value:g}"
        case "bytes_per_s", _:
            return f"{value:g} bytes/s"
        case _, "s" | "bytes":
            return " ".join(filter(None, [words, f"{value:g}", unit]))
        case _:
            return f"{name} {value:g}"


def _check(kind: str, one: Field[Any], value: Any) -> None:
    if "read" not in one.metadata or (value is None and one.default is None):
        return
    read, least, most = (one.metadata[key] for key in ("read", "least", "most"))
    allowed = (int, float) if read is float else (int,)
    if isinstance(value, bool) or not isinstance(value, allowed):
        wanted = "a number" if read is float else "a whole number"
        raise UsageError(f"{kind}: {one.name} is {wanted}, not {value!r}.")
    if not least <= value <= most or math.isinf(value):
        bounds = f"from {least:g} to {most:g}" if most < math.inf else f"at least {least:g}"
        raise UsageError(f"{kind}: {one.name} is {bounds}, not {value:g}.")
