"""What waits in one direction of a connection, in order. Pure: the time is an argument.

A stream keeps its order whatever the jitter: nobody leaves before those in front. Only a message that is to
be reordered steps aside, until the next one has passed it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from dslab.kit.links.faults import Coalesce, Fragment
from dslab.kit.trace.event import Effect, Kind

# What is kept of each parcel beside its data, at least: small ones take room too.
BESIDE_BYTES = 256


@dataclass(slots=True)
class Parcel:
    """A piece (CHUNK, MESSAGE), or the end of the stream (CLOSE, RESET).

    Attributes:
        kind: Which of these.
        t_s: When it came in, for the trace.
        release_s: Before this time of the event loop it does not leave.
        data: What is to be sent.
        fragment: How it is to be cut up, if at all.
        notes: What was done to it, for the trace.
        copies: How often it is to be sent.
        sent: How much of it has left.
        left_s: When its last part so far did, for the trace.
        parts: In how many steps.
        gathered: It has waited for others to join it.
        joined: Itself and those that have joined it.
    """

    kind: Kind
    t_s: float
    release_s: float
    data: bytes = b""
    fragment: Fragment | None = None
    notes: list[str] = field(default_factory=list)
    copies: int = 1
    sent: int = 0
    left_s: float = 0.0
    parts: int = 0
    gathered: bool = False
    joined: list[Parcel] = field(default_factory=list)

    @property
    def is_end(self) -> bool:
        """It is the end of the stream."""
        return self.kind in {Kind.CLOSE, Kind.RESET}

    @property
    def left_bytes(self) -> int:
        """How much of it has not left."""
        return len(self.data) - self.sent

    def delivered(self) -> list[tuple[Parcel, str]]:
        """What has arrived with it, each with its note for the trace."""
        if self.joined:
            return [(one, ", ".join([*one.notes, Effect.COALESCED])) for one in self.joined]
        if self.fragment is not None and self.parts > 1:
            return [(self, ", ".join([*self.notes, f"{Effect.FRAGMENT} into {self.parts}"]))]
        return [(self, ", ".join(self.notes))]


class Line:
    """Parcels in the order in which they leave.

    Attributes:
        queued_bytes: How many bytes wait.
        held: The one that has stepped aside to be overtaken.
    """

    def __init__(self) -> None:
        self.queued_bytes = 0
        self.held: Parcel | None = None
        self._parcels: deque[Parcel] = deque()
        self._last_release_s = float("-inf")

    def __bool__(self) -> bool:
        return bool(self._parcels)

    @property
    def empty(self) -> bool:
        """Nobody waits, nobody has stepped aside."""
        return not self._parcels and self.held is None

    @property
    def weight_bytes(self) -> int:
        """How much memory they take, more or less."""
        return self.queued_bytes + BESIDE_BYTES * len(self._parcels)

    @property
    def head(self) -> Parcel:
        """Who leaves next."""
        return self._parcels[0]

    def push(self, parcel: Parcel) -> None:
        """Put it at the end, as often as it is to be sent."""
        self._last_release_s = parcel.release_s = max(parcel.release_s, self._last_release_s)
        self._parcels.append(parcel)
        self.queued_bytes += parcel.left_bytes
        for _ in range(parcel.copies - 1):
            notes = [*parcel.notes, Effect.DUPLICATE]
            self.push(Parcel(parcel.kind, parcel.t_s, parcel.release_s, parcel.data, parcel.fragment, notes))

    def let_pass(self, parcel: Parcel) -> bool:
        """Put it at the end, and behind it the one that has stepped aside.

        Returns:
            Whether there was one.
        """
        overtaken, self.held = self.held, None
        self.push(parcel)
        if overtaken is None:
            return False
        overtaken.notes.append(Effect.REORDERED)
        self.push(overtaken)
        return True

    def let_go(self) -> None:
        """Nobody came to overtake the one that has stepped aside: it takes its turn."""
        held, self.held = self.held, None
        if held is not None:
            self.push(held)

    def gather(self, coalesce: Coalesce, now_s: float) -> float:
        """How long the head has yet to wait for others to join it; 0 once it may leave."""
        head = self.head
        due_s = head.release_s + coalesce.hold_s
        if head.gathered or head.sent or self.queued_bytes >= coalesce.max_bytes or self._parcels[-1].is_end:
            return 0.0
        return max(0.0, due_s - now_s)

    def join(self, max_bytes: int, now_s: float) -> int:
        """Make one parcel of the head and of those behind it whose time has come.

        Returns:
            How many have joined it.
        """
        if self.head.gathered or self.head.sent:
            return 0
        head = self._parcels.popleft()
        size, joined = len(head.data), [head]
        while self._parcels and size < max_bytes:
            following = self._parcels[0]
            if following.is_end or following.release_s > now_s:
                break
            size += len(following.data)
            joined.append(self._parcels.popleft())
        if len(joined) > 1:
            data = b"".join(one.data for one in joined)
            head = Parcel(head.kind, head.t_s, head.release_s, data, head.fragment, joined=joined)
        head.gathered = True
        self._parcels.appendleft(head)
        return len(joined) - 1

    def advance(self, size: int) -> memoryview:
        """The next ``size`` bytes of the head leave; with its last one it leaves the line itself."""
        head = self.head
        part = memoryview(head.data)[head.sent : head.sent + size]
        head.sent += len(part)
        head.parts += 1
        self.queued_bytes -= len(part)
        if not head.left_bytes:
            self._parcels.popleft()
        return part

    def pieces(self) -> list[Parcel]:
        """The pieces in it, who has stepped aside included."""
        held = [] if self.held is None else [self.held]
        return [parcel for parcel in self._parcels if not parcel.is_end] + held

    def clear(self) -> list[Parcel]:
        """Empty the line.

        Returns:
            The pieces that were in it.
        """
        self.let_go()
        pieces = self.pieces()
        self._parcels.clear()
        self.queued_bytes = 0
        return pieces
