"""What the faults of a link do to one piece. Pure: equal traffic meets an equal fate, whatever the timing.

The dice are a hash of the seed and of the piece's place: which link, which direction, which connection, the
how-many-th piece of it. No dice are shared, so one connection's traffic cannot change the luck of another's.

Source: J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011: random numbers that are a
function of a counter, in place of a generator with a state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from dslab.kit.links.faults import Corrupt, Delay, Duplicate, Fault, Fragment, Heading, Lose, Reorder
from dslab.kit.trace.event import Effect

# What is decided piece by piece, in the order in which it is decided.
PIECEWISE: tuple[type[Fault], ...] = (Lose, Corrupt, Duplicate, Reorder, Delay, Fragment)


@dataclass(frozen=True, slots=True)
class Place:
    """Which piece it is."""

    seed: int
    link: str
    heading: Heading
    connection: int
    index: int


@dataclass(slots=True)
class Fate:
    """What becomes of a piece.

    Attributes:
        data: Its bytes on arrival.
        copies: How often it arrives.
        hold_s: How long it may wait to be overtaken; 0 for a piece that keeps its turn.
        delay_s: How much later it leaves.
        fragment: How it is to be cut up, if at all.
        notes: What was done to it, for the trace.
        struck: The kinds of the faults that happened to it. Whether it was overtaken, or was long enough to
            be cut up, is seen only later, so `Reorder` and `Fragment` are not among them.
    """

    data: bytes
    copies: int = 1
    hold_s: float = 0.0
    delay_s: float = 0.0
    fragment: Fragment | None = None
    notes: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)


def dice(place: Place, kind: str) -> tuple[float, float, float]:
    """Three numbers from 0 to 1 (exclusive) that belong to this piece and this kind of fault."""
    key = f"{place.seed}/{place.link}/{place.heading}/{place.connection}/{place.index}/{kind}"
    digest = blake2b(key.encode(), digest_size=21).digest()
    # 53 bits fill a float exactly; 56 would round up to 1.0 now and then.
    first, second, third = (int.from_bytes(digest[at : at + 7], "big") >> 3 for at in (0, 7, 14))
    return first / 2**53, second / 2**53, third / 2**53


def decide(place: Place, data: bytes, faults: Iterable[Fault]) -> Fate:
    """What those faults do to this piece.

    Args:
        place: Which piece it is.
        data: Its bytes.
        faults: The faults that it meets, in any order.
    """
    fate = Fate(data)
    for fault in sorted(faults, key=lambda one: PIECEWISE.index(type(one))):
        _strike(fate, fault, dice(place, fault.kind))
        if not fate.copies:
            break
    return fate


def _strike(fate: Fate, fault: Fault, rolled: tuple[float, float, float]) -> None:
    match fault:
        case Lose(p=p) if rolled[0] < p:
            fate.copies = 0
            fate.notes.append(Effect.LOST)
            fate.struck.append(fault.kind)
        case Corrupt(p=p) if rolled[0] < p:
            _corrupt(fate, fault, rolled)
        case Duplicate(p=p) if rolled[0] < p:
            fate.copies = 2
            fate.struck.append(fault.kind)
        case Reorder(p=p, hold_s=hold_s) if rolled[0] < p:
            fate.hold_s = hold_s
        case Delay(s=s, jitter_s=jitter_s):
            fate.delay_s += max(0.0, s + jitter_s * (2 * rolled[0] - 1))
            fate.struck.append(fault.kind)
        case Fragment():
            fate.fragment = fault
        case _:
            pass


def _corrupt(fate: Fate, fault: Corrupt, rolled: tuple[float, float, float]) -> None:
    size = len(fate.data)
    offset = int(rolled[1] * size) if fault.offset is None else fault.offset
    if offset >= size:  # shorter than that, or empty: there is no such byte
        return
    changed = bytearray(fate.data)
    changed[offset] ^= 1 + int(rolled[2] * 255)  # never 0, which would change nothing
    fate.data = bytes(changed)
    fate.notes.append(f"{Effect.CORRUPTED} byte {offset}")
    fate.struck.append(fault.kind)
