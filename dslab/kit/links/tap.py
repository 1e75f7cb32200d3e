"""Where a links program records: one trace at a time, or none, for all of its links."""

from __future__ import annotations

import time
from pathlib import Path

from dslab.kit.errors import MachineError
from dslab.kit.trace.event import Event
from dslab.kit.trace.recorder import MAX_BYTES_PER_EVENT, Recorder

KEPT_BYTES = MAX_BYTES_PER_EVENT


class Tap:
    """Holds the open recorder. Links ask `on` before they prepare an event."""

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._epoch_s = 0.0
        self._failure: OSError | None = None

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
        recorder, self._recorder = self._recorder, None
        failure, self._failure = self._failure, None
        try:
            if recorder is not None:
                recorder.close()
        except OSError as error:
            failure = failure or error
        if failure is not None:
            raise MachineError(f"The trace could not be written: {failure}.") from failure

    def record(self, event: Event) -> None:
        """Put it on record, if anything is."""
        if self._recorder is None:
            return
        try:
            self._recorder.record(event)
        except OSError as error:  # a full disk must not break the connection; `end` tells it
            self._recorder, self._failure = None, error
