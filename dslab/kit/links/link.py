"""The state of one link: what it carried, which faults stand, and what these amount to in each direction.

The proxy and its connections share it. They ask `Link.conditions` at every step and `Link.decide` about every
piece, and report what they did, so that what is counted is what happened.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dslab.kit.errors import UsageError
from dslab.kit.links.fate import PIECEWISE, Fate, Place, decide
from dslab.kit.links.faults import (
    HEADINGS,
    Coalesce,
    Cut,
    Delay,
    Fault,
    HalfClose,
    Heading,
    Partition,
    Refuse,
    Reset,
    Stall,
    Throttle,
)
from dslab.kit.links.framing import Splitter, load_framing
from dslab.kit.links.schedule import Pacer
from dslab.kit.links.spec import LinkSpec, LinkStats
from dslab.kit.links.tap import KEPT_BYTES, Tap
from dslab.kit.trace import describe
from dslab.kit.trace.event import Direction, Event, Kind

# Of a longer message the describer sees only what the trace keeps.
MAX_DESCRIBED_BYTES = 1024 * 1024


@dataclass(slots=True)
class Standing:
    """A fault that stands, and how many pieces (or connections) it has met."""

    fault: Fault
    met: int = 0

    @property
    def spent(self) -> bool:
        """It has met as many as it was meant for."""
        return self.fault.count is not None and self.met >= self.fault.count

    def meet(self) -> bool:
        """Does it apply to the next piece too?"""
        if self.spent:
            return False
        self.met += 1
        return True


@dataclass(slots=True)
class Conditions:
    """What the standing faults amount to in one direction.

    Attributes:
        calm: No fault stands here: bytes need no second look.
        silenced_by: The kinds of the faults that keep everything back; empty when bytes may leave.
        pacer: The wire's rate, if it is limited.
        coalesce: How pieces wait for each other, if they do.
        piecewise: What is decided piece by piece.
        limits: What happens after so many bytes of a connection.
    """

    calm: bool = True
    silenced_by: tuple[str, ...] = ()
    pacer: Pacer | None = None
    coalesce: Coalesce | None = None
    piecewise: list[Standing] = field(default_factory=list)
    limits: list[Standing] = field(default_factory=list)

    @property
    def lag_s(self) -> float:
        """By how much the end of a stream is delayed."""
        delays = (one.fault for one in self.piecewise if not one.spent)
        return sum(fault.s for fault in delays if isinstance(fault, Delay))

    def add(self, standing: Standing) -> None:
        """One more fault stands."""
        self.calm = False
        match standing.fault:
            case Stall(kind=kind) | Partition(kind=kind):
                self.silenced_by += (kind,)
            case Throttle(bytes_per_s=bytes_per_s):
                self.pacer = Pacer(bytes_per_s)
            case Coalesce() as coalesce:
                self.coalesce = coalesce
            case Reset() | HalfClose():
                self.limits.append(standing)
            case fault if isinstance(fault, PIECEWISE):
                self.piecewise.append(standing)
            case _:
                pass


class Link:
    """One link.

    Args:
        spec: What it is.
        tap: Where it records.
        seed: What its faults are decided from.
    """

    def __init__(self, spec: LinkSpec, tap: Tap, seed: int) -> None:
        self.spec = spec
        self.tap = tap
        self.seed = seed
        self.connections = 0
        self.open_connections = 0
        self.bytes: Counter[Heading] = Counter()
        self.pieces: Counter[Heading] = Counter()
        self.injected: Counter[str] = Counter()
        self.standing: list[Standing] = []
        self.conditions: dict[Heading, Conditions] = {heading: Conditions() for heading in HEADINGS}
        self._describe = describe.load(spec.describe) if spec.describe else None
        self._frames = load_framing(spec.framing) if spec.framing else None

    def stats(self) -> LinkStats:
        """What it has carried and done so far."""
        return LinkStats(
            connections=self.connections,
            open_connections=self.open_connections,
            forward_bytes=self.bytes["forward"],
            backward_bytes=self.bytes["backward"],
            forward_pieces=self.pieces["forward"],
            backward_pieces=self.pieces["backward"],
            injected={kind: times for kind, times in self.injected.items() if times},
            faults=tuple(str(one.fault) for one in self.standing),
        )

    def splitter(self) -> Splitter | None:
        """A new splitter into messages, where the framing is known."""
        return Splitter(self._frames) if self._frames else None

    # ---- faults

    def apply(self, fault: Fault) -> None:
        """Let a fault stand; one of the same kind and direction makes place for it.

        Raises:
            UsageError: It makes no sense on this link.
        """
        if self.spec.transport not in fault.transports:
            raise UsageError(f"{self.spec.name} carries datagrams: there is no {fault.kind} for them.")
        if fault.needs_messages and self.spec.transport == "tcp" and not self._frames:
            raise UsageError(
                f"{self.spec.name} carries a stream of bytes, which has no messages to {fault.kind}.",
                remedy="Name its framing in the compose file: x-dslab: {framing: module:function}.",
            )
        if fault.lasting:
            same = (fault.kind, fault.direction)
            self.standing = [one for one in self.standing if (one.fault.kind, one.fault.direction) != same]
            self.standing.append(Standing(fault))
            self._weigh()
        self._announce(str(fault), fault.direction or "", "on" if fault.lasting else "")

    def heal(self) -> None:
        """End every fault."""
        if self.standing:
            self.standing = []
            self._weigh()
            self._announce("heal", "", "off")

    def _weigh(self) -> None:
        for heading in HEADINGS:
            self.conditions[heading] = Conditions()
            for standing in self.standing:
                if standing.fault.meets(heading):
                    self.conditions[heading].add(standing)

    def standing_of(self, kind: type[Cut | Partition | Refuse]) -> Standing | None:
        """The standing fault of that kind that still has effect, if there is one."""
        return next((one for one in self.standing if isinstance(one.fault, kind) and not one.spent), None)

    def decide(self, heading: Heading, connection: int, index: int, data: bytes) -> Fate:
        """What becomes of that piece. Counts what is done to it."""
        faults = [one.fault for one in self.conditions[heading].piecewise if one.meet()]
        fate = decide(Place(self.seed, self.spec.name, heading, connection, index), data, faults)
        self.injected.update(fate.struck)
        return fate

    # ---- the trace

    def note(self, kind: Kind, direction: Direction, connection: int, note: str = "") -> None:
        """Record what happened to a connection."""
        if self.tap.on:
            event = partial(Event, t_s=self.tap.now(), link=self.spec.name, kind=kind, direction=direction)
            self.tap.record(partial(event, note=note, connection=connection))

    def record(
        self,
        kind: Kind,
        heading: Heading,
        connection: int,
        data: bytes,
        *,
        size: int,
        t_s: float,
        arrive_s: float | None,
        note: str = "",
    ) -> None:
        """Record a piece that travelled. `data` may be its beginning only, `size` is its whole length."""
        if not self.tap.on:
            return
        known = data if self._describe is not None and size <= MAX_DESCRIBED_BYTES else data[:KEPT_BYTES]
        make_event = partial(
            self._event, kind, heading, connection, known, size=size, t_s=t_s, arrive_s=arrive_s, note=note
        )
        self.tap.record(make_event, len(known))

    def _event(self, kind: Kind, heading: Heading, connection: int, known: bytes, **fields: Any) -> Event:
        return Event(
            link=self.spec.name,
            kind=kind,
            direction=heading,
            connection=connection,
            data=known[:KEPT_BYTES],
            label=self._describe(known) if self._describe else "",
            **fields,
        )

    def _announce(self, label: str, direction: Direction, note: str) -> None:
        if self.tap.on:
            event = partial(Event, t_s=self.tap.now(), link=self.spec.name, kind=Kind.FAULT)
            self.tap.record(partial(event, direction=direction, label=label, note=note))
