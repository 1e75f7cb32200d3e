"""What one direction of a connection reads, cut into pieces; each is counted and meets its fate.

A piece is a message where the framing is known, and a chunk (what one read brought) where it is not. While no
fault stands, bytes do not wait here: they are followed after they have left, so that it is known where in a
message a fault comes.
"""

from __future__ import annotations

from dslab.kit.links.fate import Fate
from dslab.kit.links.faults import Heading
from dslab.kit.links.line import Parcel
from dslab.kit.links.link import Link
from dslab.kit.links.tap import KEPT_BYTES
from dslab.kit.trace.event import Effect, Kind


class Intake:
    """Makes parcels of bytes.

    Args:
        link: The link, which knows the framing and the faults.
        heading: Which direction.
        connection: The connection's number.
    """

    def __init__(self, link: Link, heading: Heading, connection: int) -> None:
        self._link = link
        self._heading: Heading = heading
        self._connection = connection
        self._splitter = link.splitter()
        self._ahead = 0  # how much of the message that the splitter waits for has left already
        self._index = 0

    def follow(self, view: memoryview, t_s: float) -> None:
        """Keep account of the pieces in what has just left."""
        if self._splitter is None:
            self._passed(Kind.CHUNK, view, t_s)
            return
        for message in self._splitter.feed(view):
            self._passed(Kind.MESSAGE, message, t_s)
        self._ahead = len(self._splitter)
        if self._splitter.failure:
            rest, failure = self._give_up_framing()
            self._passed(Kind.CHUNK, rest, t_s, failure)

    def admit(self, data: bytes, now_s: float) -> list[tuple[Parcel, float]]:
        """Let each whole piece in the data meet its fate.

        Returns:
            A parcel of each, and how long it may wait to be overtaken. One with no copies is lost.
        """
        if self._splitter is None:
            return [self._meet(Kind.CHUNK, data, now_s)]
        admitted = []
        for message in self._splitter.feed(data):
            ahead, self._ahead = self._ahead, 0
            admitted.append(self._meet(Kind.MESSAGE, message, now_s, ahead))
        if self._splitter.failure:
            ahead = self._ahead
            rest, failure = self._give_up_framing()
            admitted.append(self._meet(Kind.CHUNK, rest, now_s, ahead, failure))
        return admitted

    def beginning(self) -> bytes:
        """What waits for the rest of its message, and need not: from now on it counts as gone."""
        beginning = self._splitter.peek(self._ahead) if self._splitter is not None else b""
        self._ahead += len(beginning)
        return beginning

    def incomplete(self, now_s: float) -> Parcel | None:
        """What the stream ended in the middle of, if it has not left yet; then it is only put on record."""
        if self._splitter is None or not (rest := self._splitter.take()):
            return None
        ahead, self._ahead = self._ahead, 0
        note = "incomplete message"
        if ahead == len(rest):
            self._passed(Kind.CHUNK, rest, self._link.tap.now(), note)
            return None
        self._link.pieces[self._heading] += 1
        return self._parcel(Kind.CHUNK, Fate(rest[ahead:], notes=[note]), now_s)

    def _passed(self, kind: Kind, data: bytes | memoryview, t_s: float, note: str = "") -> None:
        self._index += 1
        self._link.pieces[self._heading] += 1
        if not self._link.tap.on:
            return
        self._link.record(
            kind,
            self._heading,
            self._connection,
            data if isinstance(data, bytes) else bytes(data[:KEPT_BYTES]),
            size=len(data),
            t_s=t_s,
            arrive_s=self._link.tap.now(),
            note=note,
        )

    def _give_up_framing(self) -> tuple[bytes, str]:
        assert self._splitter is not None
        splitter, self._splitter, self._ahead = self._splitter, None, 0
        return splitter.take(), splitter.failure

    def _meet(
        self, kind: Kind, data: bytes, now_s: float, ahead: int = 0, note: str = ""
    ) -> tuple[Parcel, float]:
        """One piece; if its first ``ahead`` bytes have left before there was a fault, it keeps its luck."""
        link = self._link
        link.pieces[self._heading] += 1
        link.injected.update(link.conditions[self._heading].silenced_by)
        if ahead:
            fate = Fate(data[ahead:])
        else:
            fate = link.decide(self._heading, self._connection, self._index, data)
        self._index += 1
        fate.notes += [note] if note else []
        return self._parcel(kind, fate, now_s), fate.hold_s

    def _parcel(self, kind: Kind, fate: Fate, now_s: float) -> Parcel:
        if fate.delay_s:
            fate.notes.append(f"{Effect.DELAYED} {fate.delay_s:.3g} s")
        t_s, release_s = self._link.tap.now(), now_s + fate.delay_s
        return Parcel(kind, t_s, release_s, fate.data, fate.fragment, fate.notes, fate.copies)
