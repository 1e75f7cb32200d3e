"""Where a links program records: one trace at a time, or none, for all of its links.

What is to be recorded is only noted down at first. It is made into lines of the file when traffic pauses, in
small batches, and at the end. Otherwise a receiver that has just got its bytes would wait for the thread that
writes about them, because the grader's own thread cannot run while the links' thread does. Traffic that never
pauses is written about after `MAX_LAG_S` or `MAX_PENDING` events all the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from dslab.kit.trace.event import Event
from dslab.kit.trace.recorder import MAX_BYTES_PER_EVENT, Recorder

KEPT_BYTES = MAX_BYTES_PER_EVENT
PAUSE_S = 0.02  # no event for so long: traffic has paused
MAX_LAG_S = 1.0
BATCH = 32
MAX_PENDING = 4_096
MAX_PENDING_BYTES = 4 * 1024 * 1024

MakeEvent = Callable[[], Event]


class Tap:
    """Holds the open recorder. Links ask `on` before they prepare an event. Belongs to one event loop."""

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._epoch_s = 0.0
        self._pending: deque[MakeEvent] = deque()
        self._pending_bytes = 0
        self._timer: asyncio.Handle | None = None
        self._latest_s = 0.0  # when, by the loop's clock, the last event was noted down
        self._oldest_s = 0.0  # and when the first of those that are pending

    @property
    def on(self) -> bool:
        """Is anything recorded at present?"""
        return self._recorder is not None

    def now(self) -> float:
        """Seconds since the run began."""
        return time.time() - self._epoch_s

    def begin(self, path: Path, epoch_s: float) -> None:
        """Record into that file from now on."""
        recorder = Recorder(path, epoch_s)
        self.end()
        self._recorder, self._epoch_s = recorder, epoch_s

    def end(self) -> None:
        """Complete the file.

        Raises:
            MachineError: It could not be written.
        """
        self._write(len(self._pending))
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def record(self, make_event: MakeEvent, size: int = 0) -> None:
        """Put an event on record, if anything is.

        Args:
            make_event: Makes it. Called soon, not now.
            size: How many bytes are kept until then.
        """
        if self._recorder is None:
            return
        loop = asyncio.get_running_loop()
        self._latest_s = loop.time()
        self._pending.append(make_event)
        self._pending_bytes += size
        if len(self._pending) >= MAX_PENDING or self._pending_bytes >= MAX_PENDING_BYTES:
            self._write(len(self._pending))
        elif self._timer is None:
            self._oldest_s = self._latest_s
            self._timer = loop.call_later(PAUSE_S, self._write_some)

    def _write_some(self) -> None:
        """Write a batch, if traffic pauses or enough time has gone by; and come back for the rest."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if now_s - self._latest_s < PAUSE_S and now_s - self._oldest_s < MAX_LAG_S:
            self._timer = loop.call_at(self._latest_s + PAUSE_S, self._write_some)
            return
        self._write(BATCH)
        if self._pending:  # let connections have their turn first
            self._timer = loop.call_soon(self._write_some)

    def _write(self, count: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _ in range(min(count, len(self._pending))):
            event = self._pending.popleft()()
            if self._recorder is not None:
                self._recorder.record(event)
        if not self._pending:
            self._pending_bytes = 0
