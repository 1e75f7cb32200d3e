"""Events to disk and back: JSON lines, appended by whole lines, bounded in size.

Recording stands in the path of every message that a check sends, so `Recorder.record` only encodes and
appends to a buffer. The buffer goes to the file when it is large, when it is old (a thread looks after that)
and on close. A writer that is killed loses what was buffered and may tear its last line; `read` leaves that
line out. A disk that is full ends the record, not what is recorded: `Recorder.close` tells it.
"""

from __future__ import annotations

import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from dslab.kit.errors import MachineError
from dslab.kit.trace.event import CARRIES_BYTES, Event, Kind, from_json, to_json

MAX_BYTES_PER_EVENT = 4_096
MAX_FILE_BYTES = 32 * 1024 * 1024
FLUSH_BYTES = 64 * 1024
FLUSH_S = 0.1
# What tells the story (who died, which fault, why it failed) is recorded even when traffic filled the file.
RESERVE_BYTES = 256 * 1024
STORY = frozenset({Kind.CHECK, Kind.NODE, Kind.FAULT})
FULL = "trace full"
MAX_FOLDER_CHARS = 80


class Recorder:
    """Writes events to one file. Threads may share it; processes may each have one on the same file.

    Args:
        path: The file; appended to, its folder made if missing.
        epoch_s: `time.time()` at the start of the run, from which `Event.t_s` counts.
        max_bytes_per_event: How many bytes of a message are kept.
        max_file_bytes: How much this recorder writes. Later messages are counted in `dropped`, and the file
            says so once.
    """

    def __init__(
        self,
        path: Path,
        epoch_s: float,
        max_bytes_per_event: int = MAX_BYTES_PER_EVENT,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self.path = path
        self.epoch_s = epoch_s
        self.dropped = 0
        self._max_bytes_per_event = max_bytes_per_event
        self._max_file_bytes = max_file_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._buffered_bytes = 0
        self._total_bytes = 0
        self._failure: OSError | None = None
        self._closing = threading.Event()
        self._flusher = threading.Thread(target=self._flush_by_time, name=f"trace {path.name}", daemon=True)
        self._flusher.start()

    def now(self) -> float:
        """Seconds since the run began: the `t_s` of something that happens now."""
        return time.time() - self.epoch_s

    def record(self, event: Event) -> None:
        """Put the event on record. Cheap: encoded here, written later."""
        if self._total_bytes >= self._max_file_bytes and event.kind not in STORY:
            self._drop(event)
            return
        if len(event.data) > self._max_bytes_per_event:
            size = max(event.size, len(event.data))
            event = replace(event, data=bytes(event.data[: self._max_bytes_per_event]), size=size)
        line = to_json(event)
        with self._lock:
            self._append(line)

    def flush(self) -> None:
        """Hand everything recorded so far to the operating system."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Flush and close. What is recorded afterwards is dropped; closing twice is harmless.

        Raises:
            MachineError: Not all could be written.
        """
        self._closing.set()
        self._flusher.join()
        with self._lock:
            self._flush()
            self._close_file()
            failure, self._failure = self._failure, None
        if failure is not None:
            raise MachineError(f"The trace could not be written: {failure.strerror}.") from failure

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, line: str) -> None:
        if self._file is None or self._total_bytes > self._max_file_bytes + RESERVE_BYTES:
            self.dropped += 1
            return
        self._lines.append(line)
        self._buffered_bytes += len(line) + 1  # json.dumps writes ASCII: characters are bytes
        self._total_bytes += len(line) + 1
        if self._buffered_bytes >= FLUSH_BYTES:
            self._flush()

    def _drop(self, event: Event) -> None:
        with self._lock:
            self.dropped += 1
            if self.dropped == 1:
                note = f"later messages are not on record: the limit is {self._max_file_bytes:,} bytes"
                self._append(to_json(Event(t_s=event.t_s, link="", kind=Kind.CHECK, label=FULL, note=note)))

    def _flush(self) -> None:
        if self._file is None or not self._lines:
            return
        block = memoryview(("\n".join(self._lines) + "\n").encode("ascii"))
        self._lines.clear()
        self._buffered_bytes = 0
        try:
            while block:
                block = block[os.write(self._file, block) :]
        except OSError as error:
            self._failure = error
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _flush_by_time(self) -> None:
        while not self._closing.wait(FLUSH_S):
            if self._lines:
                self.flush()


def folder_name(check: str) -> str:
    """What the folder of a check of that name is called: without what a file's name should not hold."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", check).strip("-.")[:MAX_FOLDER_CHARS] or "check"


def read(*paths: Path) -> list[Event]:
    """The events of those files in the order of time. A missing file is empty, a torn line is left out."""
    events = [event for path in paths if path.exists() for event in _events(path)]
    return sorted(events, key=lambda event: event.t_s)


def _events(path: Path) -> list[Event]:
    events = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                events.append(from_json(line))
            except ValueError:
                continue  # the writer was killed in the middle of this line
    return events


def cut_bytes(event: Event) -> int:
    """How many bytes of the event were not kept."""
    return max(0, event.size - len(event.data)) if event.kind in CARRIES_BYTES else 0
