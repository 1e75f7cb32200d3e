"""What one direction of a connection reads, cut into pieces; each is counted and meets its fate.

A piece is a message where the framing is known, and a chunk (what one read brought) where it is not. While no
fault stands, bytes do not wait here: they are followed after they have left, so that it is known where in a
message a fault comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

from dslab.kit.links.fate import Fate
from dslab.kit.links.faults import Heading
from dslab.kit.links.framing import Splitter
from dslab.kit.links.line import Parcel
from dslab.kit.links.link import Link
from dslab.kit.links.tap import KEPT_BYTES
from dslab.kit.trace.event import Effect, Kind

INCOMPLETE = "incomplete message"
# So much may come in at once. What a sender has sent in one go should arrive in one go, as without a link...
READ_BYTES = 256 * 1024
# ... but where a read brought more messages than this, the next ones bring less, to leave room for others.
MESSAGES_PER_READ = 256
LEAST_READ_BYTES = 1024


class Intake:
    """Makes parcels of bytes.

    Args:
        link: The link, which knows the framing and the faults.
        heading: Which direction.
        connection: The connection's number.

    Attributes:
        read_bytes: How much the next read may bring.
    """

    def __init__(self, link: Link, heading: Heading, connection: int) -> None:
        self._link = link
        self._heading: Heading = heading
        self._connection = connection
        self._splitter = link.splitter()
        self.read_bytes = READ_BYTES
        self._ahead = 0  # how much of the message that the splitter waits for has left already
        self._left_s = 0.0  # when
        self._begun_s = 0.0  # when its first byte came in
        self._index = 0

    def follow(self, view: memoryview, t_s: float) -> None:
        """Keep account of the pieces in what has just left."""
        if self._splitter is None:
            self._passed(Kind.CHUNK, view, t_s)
            return
        for message, begun_s in self._messages(self._splitter, view, t_s):
            self._passed(Kind.MESSAGE, message, begun_s)
        self._ahead, self._left_s = len(self._splitter), t_s
        if self._splitter.failure:
            rest, failure = self._give_up_framing()
            self._passed(Kind.CHUNK, rest, self._begun_s, failure)

    def admit(self, data: bytes, now_s: float) -> list[tuple[Parcel, float]]:
        """Let each whole piece in the data meet its fate.

        Returns:
            A parcel of each, and how long it may wait to be overtaken. One with no copies is lost.
        """
        t_s = self._link.tap.now()
        if self._splitter is None:
            return [self._meet(Kind.CHUNK, data, t_s, now_s)]
        admitted = []
        for message, begun_s in self._messages(self._splitter, data, t_s):
            ahead, self._ahead = self._ahead, 0
            admitted.append(self._meet(Kind.MESSAGE, message, begun_s, now_s, ahead=ahead))
        if self._splitter.failure:
            ahead = self._ahead
            rest, failure = self._give_up_framing()
            admitted.append(self._meet(Kind.CHUNK, rest, self._begun_s, now_s, ahead=ahead, note=failure))
        return admitted

    def _messages(
        self, splitter: Splitter, data: bytes | memoryview, t_s: float
    ) -> Iterator[tuple[bytes, float]]:
        """The messages that are whole with that data, each with the time when its first byte came in."""
        begun_s = self._begun_s if len(splitter) else t_s
        messages = splitter.feed(data)
        if len(messages) > MESSAGES_PER_READ:
            self.read_bytes = max(LEAST_READ_BYTES, len(data) * MESSAGES_PER_READ // len(messages))
        else:
            self.read_bytes = min(2 * self.read_bytes, READ_BYTES)
        self._begun_s = t_s if messages else begun_s
        return zip(messages, chain([begun_s], repeat(t_s)), strict=False)

    def beginning(self) -> bytes:
        """What waits for the rest of its message, and need not: from now on it counts as gone."""
        beginning = self._splitter.peek(self._ahead) if self._splitter is not None else b""
        self._ahead += len(beginning)
        self._left_s = self._link.tap.now()
        return beginning

    def unfinished(self) -> Parcel | None:
        """The message that is not whole, as far as it came. It goes on waiting for its rest."""
        if self._splitter is None or not (rest := self._splitter.peek(0)):
            return None
        return self._incomplete(rest, 0.0)

    def incomplete(self, now_s: float) -> Parcel | None:
        """What the stream ended in the middle of, if it has not left yet; then it is only put on record."""
        if self._splitter is None or not (rest := self._splitter.take()):
            return None
        parcel = self._incomplete(rest, now_s)
        self._ahead = 0
        if not parcel.left_bytes:
            self._passed(Kind.CHUNK, rest, parcel.t_s, INCOMPLETE, parcel.left_s)
            return None
        self._link.pieces[self._heading] += 1
        return parcel

    def _incomplete(self, rest: bytes, now_s: float) -> Parcel:
        return self._parcel(Kind.CHUNK, Fate(rest, notes=[INCOMPLETE]), self._begun_s, now_s, self._ahead)

    def _passed(
        self,
        kind: Kind,
        data: bytes | memoryview,
        t_s: float,
        note: str = "",
        left_s: float | None = None,
    ) -> None:
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
            arrive_s=self._link.tap.now() if left_s is None else left_s,
            note=note,
        )

    def _give_up_framing(self) -> tuple[bytes, str]:
        assert self._splitter is not None
        splitter, self._splitter, self._ahead = self._splitter, None, 0
        self.read_bytes = READ_BYTES
        return splitter.take(), splitter.failure

    def _meet(
        self, kind: Kind, data: bytes, t_s: float, now_s: float, *, ahead: int = 0, note: str = ""
    ) -> tuple[Parcel, float]:
        """One piece; if its first ``ahead`` bytes have left before there was a fault, it keeps its luck."""
        link = self._link
        link.pieces[self._heading] += 1
        link.injected.update(link.conditions[self._heading].silenced_by)
        fate = Fate(data) if ahead else link.decide(self._heading, self._connection, self._index, data)
        self._index += 1
        fate.notes += [note] if note else []
        return self._parcel(kind, fate, t_s, now_s, ahead), fate.hold_s

    def _parcel(self, kind: Kind, fate: Fate, t_s: float, now_s: float, ahead: int) -> Parcel:
        if fate.delay_s:
            fate.notes.append(f"{Effect.DELAYED} {fate.delay_s:.3g} s")
        parcel = Parcel(kind, t_s, now_s + fate.delay_s, fate.data, fate.fragment, fate.notes, fate.copies)
        parcel.sent, parcel.left_s = ahead, self._left_s
        return parcel
