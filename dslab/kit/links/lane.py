"""One direction of one TCP connection: from the socket that is read to the socket that is written.

While no fault stands, bytes are written as they were read (`Lane._pass_on`). Otherwise they become parcels:
each meets its fate, waits in line for its time, and leaves in one or more steps. The line is bounded: past
`MAX_QUEUED_BYTES` nothing more is read, and the sender's own kernel makes the sender wait. So is what one
connection may do in one turn of the event loop, or a flood of small messages would stop all others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from dslab.kit.links.faults import HalfClose, Heading, Reset
from dslab.kit.links.intake import INCOMPLETE, Intake
from dslab.kit.links.line import Line, Parcel
from dslab.kit.links.link import Conditions, Link, Standing
from dslab.kit.trace.event import Effect, Kind

MAX_QUEUED_BYTES = 1024 * 1024
RESUME_BYTES = 256 * 1024
# So many parts of a piece leave with a gap after them; 64 gaps of 1 ms are all that a long piece costs.
SPACED_PARTS = 64
# So many steps per turn of the event loop, to leave room for other connections.
STEPS_PER_TURN = 64


class Lane:
    """One direction of one connection.

    Args:
        link: The link it belongs to.
        heading: Which direction.
        connection: The connection's number.
        on_end: Called when the receiver has been told the end of the stream.
        on_reset: Called when both sides are to be reset.

    Attributes:
        source: The socket that is read; None when it is gone.
        sink: The socket that is written; None while it is not there yet, and when it is gone.
        sink_full: The receiver does not read.
        over: Nothing leaves any more.
    """

    def __init__(
        self,
        link: Link,
        heading: Heading,
        connection: int,
        *,
        on_end: Callable[[], None],
        on_reset: Callable[[], None],
    ) -> None:
        self.link = link
        self.heading: Heading = heading
        self.connection = connection
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.sink_full = False
        self.over = False
        self._on_end, self._on_reset = on_end, on_reset
        self._loop = asyncio.get_running_loop()
        self._intake = Intake(link, heading, connection)
        self._line = Line()
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._next_step_s = 0.0
        self._slot: tuple[float, int] | None = None  # when the throttled wire is through with how many bytes
        self._crossed = 0
        self._origins: dict[str, int] = {}
        self._source_ended = False
        self._paused = False

    @property
    def _conditions(self) -> Conditions:
        return self.link.conditions[self.heading]

    # ---- what comes in

    @property
    def read_bytes(self) -> int:
        """How much the next read may bring."""
        return self._intake.read_bytes

    def carry(self, view: memoryview) -> None:
        """Take in what was read. The view is valid only until the next read."""
        self.link.bytes[self.heading] += len(view)
        if self.over:
            self._lose(Parcel(Kind.CHUNK, self.link.tap.now(), 0.0, bytes(view)))
        elif self._conditions.calm and self.sink is not None and self._line.empty:
            self._pass_on(self.sink, view)
        else:
            for parcel, hold_s in self._intake.admit(bytes(view), self._loop.time()):
                self._line_up(parcel, hold_s)
            self.pump()

    def finish(self) -> None:
        """The sender has half-closed: after what is in line, so will we."""
        self._line.let_go()
        if (rest := self._intake.incomplete(self._loop.time())) is not None:
            self._line.push(rest)
        self._end_with(Kind.CLOSE)

    def break_off(self) -> None:
        """The sender has reset: after what is in line, so will we; at once, if nothing keeps the line up."""
        self.link.note(Kind.RESET, self.heading, self.connection)
        if self.over or self._conditions.calm or self.sink_full:
            self._on_reset()
        else:
            self._line.let_go()
            self._end_with(Kind.RESET)

    def _end_with(self, kind: Kind) -> None:
        self._source_ended = True
        if not self.over:
            release_s = self._loop.time() + self._conditions.lag_s
            self._line.push(Parcel(kind, self.link.tap.now(), release_s))
            self.pump()

    def _pass_on(self, sink: asyncio.Transport, view: memoryview) -> None:
        t_s = self.link.tap.now()
        self._crossed += len(view)
        sink.write(view)
        self._intake.follow(view, t_s)

    def _line_up(self, parcel: Parcel, hold_s: float) -> None:
        if not parcel.copies:
            self._lose(parcel)
        elif hold_s and self._line.held is None:
            self._line.held = parcel
            self._wake(hold_s, self._nobody_came)
        elif self._line.let_pass(parcel):
            self.link.injected["reorder"] += 1

    def _nobody_came(self) -> None:
        self._line.let_go()
        self.pump()

    # ---- what leaves

    def pump(self) -> None:
        """Let everything leave whose time has come, and set the timer for the rest."""
        self._check_limits()
        for _ in range(STEPS_PER_TURN):
            if not self._line or not self._clear():
                break
            wait_s = self._step(self._line.head)
            if wait_s is not None:
                self._wake(wait_s, self.pump)
                break
        else:
            self._wake(0.0, self.pump)
        self._release_beginning()
        self.regulate()

    def _wake(self, wait_s: float, callback: Callable[[], None]) -> None:
        if callback in self._timers:
            self._timers[callback].cancel()
        self._timers[callback] = self._loop.call_later(wait_s, callback)

    def _clear(self) -> bool:
        return not (self.over or self.sink is None or self.sink_full or self._conditions.silenced_by)

    def _step(self, head: Parcel) -> float | None:
        """Send the next part of the first in line.

        Returns:
            How long to wait before the next step; None to go on at once.
        """
        now_s = self._loop.time()
        due_s = max(head.release_s, self._next_step_s)
        if due_s > now_s:
            return due_s - now_s
        if head.is_end:
            self._tell_end(head.kind)
            return None
        return self._gather(now_s) or self._wait_for_wire(head, now_s) or self._send(self._line.head, now_s)

    def _gather(self, now_s: float) -> float:
        coalesce = self._conditions.coalesce
        if coalesce is None:
            return 0.0
        if not (wait_s := self._line.gather(coalesce, now_s)):
            self.link.injected["coalesce"] += self._line.join(coalesce.max_bytes, now_s)
        return wait_s

    def _wait_for_wire(self, head: Parcel, now_s: float) -> float:
        """Take the throttled wire for the next part, and say how long until it is through."""
        pacer = self._conditions.pacer
        if pacer is None:
            return 0.0
        if self._slot is None:
            size = self._part_bytes(head)
            self._slot = (pacer.reserve(now_s, size), size)
            self.link.injected["throttle"] += not head.parts
        return max(0.0, self._slot[0] - now_s)

    def _part_bytes(self, head: Parcel) -> int:
        sizes = [head.left_bytes]
        if head.fragment is not None:
            sizes.append(head.fragment.max_bytes)
        if (pacer := self._conditions.pacer) is not None:
            sizes.append(pacer.slice_bytes)
        sizes += [left for one in self._conditions.limits if (left := self._left(one)) > 0]
        return min(sizes)

    def _send(self, head: Parcel, now_s: float) -> float | None:
        assert self.sink is not None
        size = self._slot[1] if self._slot is not None else self._part_bytes(head)
        self._slot = None
        part = self._line.advance(size)
        self._crossed += size
        self.sink.write(part)
        head.left_s = self.link.tap.now()
        wait_s = None
        if not head.left_bytes:
            self._delivered(head)
        elif head.fragment is not None:
            self.link.injected["fragment"] += 1
            wait_s = head.fragment.gap_s if head.parts <= SPACED_PARTS else None
            self._next_step_s = now_s + (wait_s or 0.0)
        self._check_limits()
        return wait_s

    def _release_beginning(self) -> None:
        """After a heal, the beginning of a message need not wait for its end."""
        if not self._line.empty or not self._conditions.calm or not self._clear():
            return
        assert self.sink is not None
        if beginning := self._intake.beginning():
            self._crossed += len(beginning)
            self.sink.write(beginning)

    def _tell_end(self, kind: Kind) -> None:
        if kind is Kind.RESET:
            self.discard()
            self._on_reset()
        else:
            self._close_sink("")

    def _close_sink(self, note: str) -> None:
        self.link.note(Kind.CLOSE, self.heading, self.connection, note)
        if self.sink is not None:
            with suppress(OSError):  # it has just been reset, which its own protocol is told next
                self.sink.write_eof()
        self.discard()
        self._on_end()

    # ---- what changes

    def refresh(self) -> None:
        """Other faults stand than before, or the receiver is connected now."""
        self._slot = None
        self.pump()

    def count_from_here(self, kind: str) -> None:
        """A limit of that kind counts the bytes from now on."""
        self._origins[kind] = self._crossed

    def discard(self, *, on_record: bool = True) -> None:
        """Nothing more will leave: the receiver has been told the end, or is gone."""
        self.over = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        lost = self._line.clear()
        if (rest := self._intake.incomplete(self._loop.time())) is not None:
            lost.append(rest)
        for parcel in lost if on_record else ():
            self._lose_rest(parcel)
        self.regulate()

    def regulate(self) -> None:
        """Read from the sender, or do not."""
        full = self._line.weight_bytes >= (RESUME_BYTES if self._paused else MAX_QUEUED_BYTES)
        pause = (full or self.sink_full) and not self.over
        if self.source is None or self._source_ended or pause == self._paused:
            return
        self._paused = pause
        if pause:
            self.source.pause_reading()
        else:
            self.source.resume_reading()

    def _check_limits(self) -> None:
        """Has a reset or a half-close its number of bytes? Not before these have really left."""
        if self.over or self.sink is None or self.sink_full:
            return
        for standing in self._conditions.limits:
            if self._left(standing) <= 0 and standing.meet():
                self.link.injected[standing.fault.kind] += 1
                if isinstance(standing.fault, Reset):
                    self.link.note(Kind.RESET, self.heading, self.connection, "injected")
                    self.discard()
                    self._on_reset()
                else:
                    self._close_sink("injected")
                return

    def _left(self, standing: Standing) -> int:
        """How many bytes may still leave before that limit; at most 0 when it is reached."""
        fault = standing.fault
        assert isinstance(fault, Reset | HalfClose)
        return self._origins.get(fault.kind, 0) + (fault.after_bytes or 0) - self._crossed

    # ---- the trace

    def _delivered(self, parcel: Parcel) -> None:
        for one, note in parcel.delivered():
            self._record(one, parcel.left_s, note)

    def put_on_record(self) -> None:
        """The trace ends: record what is here still. Only look at it, because it may yet leave."""
        for parcel in self._line.pieces():
            for one in [parcel] if parcel.sent else parcel.joined or [parcel]:
                self._hold_rest(one)
        if (rest := self._intake.unfinished()) is not None:
            self._hold_rest(rest)

    def _hold_rest(self, parcel: Parcel) -> None:
        if (rest := self._without_beginning(parcel)).data:
            self._record(rest, None, ", ".join([*rest.notes, "held"]))

    def _lose_rest(self, parcel: Parcel) -> None:
        self._lose(self._without_beginning(parcel))

    def _without_beginning(self, parcel: Parcel) -> Parcel:
        """Record what has left of it: that has arrived.

        Returns:
            The rest.
        """
        if not parcel.sent:
            return parcel
        beginning = replace(parcel, kind=Kind.CHUNK, data=parcel.data[: parcel.sent])
        note = INCOMPLETE if INCOMPLETE in parcel.notes else "beginning"
        self._record(beginning, parcel.left_s, note)
        return replace(parcel, kind=Kind.CHUNK, data=parcel.data[parcel.sent :], sent=0)

    def _lose(self, parcel: Parcel) -> None:
        notes = [note for note in parcel.notes if note != Effect.LOST]
        self._record(parcel, None, ", ".join([*notes, Effect.LOST]))

    def _record(self, parcel: Parcel, arrive_s: float | None, note: str) -> None:
        self.link.record(
            parcel.kind,
            self.heading,
            self.connection,
            parcel.data,
            size=len(parcel.data),
            t_s=parcel.t_s,
            arrive_s=arrive_s,
            note=note,
        )
