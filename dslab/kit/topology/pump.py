"""Carries one output stream of a service from its pipe into a file, up to a limit; finds the marks in it.

A pipe with somebody who always reads at its other end, rather than the file itself: a limit on the file
(RLIMIT_FSIZE) would kill the service that reaches it, and would hold for the files that it means to write.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable
from contextlib import suppress

PIPE_BYTES = 65_536
MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_DRAIN_BYTES = 4 * 1024 * 1024  # a service that never stops writing must not hold up a drain for ever
MAX_MARKS = 10_000
MAX_MARK_BYTES = 500
MARK_PREFIX = b"dslab:mark "
CUT = f"\n[dslab: cut here, at {MAX_FILE_BYTES // 2**20} MiB; the rest was thrown away]\n".encode()

Note = Callable[[str, float], None]


class Pump:
    """One stream of one node.

    Args:
        path: The file, appended to.
        selector: Where to wait for more.
        note: Called with each mark (a line that starts with ``dslab:mark``) and the time it came.
    """

    def __init__(self, path: str, selector: selectors.BaseSelector, note: Note | None = None) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._room = MAX_FILE_BYTES - os.fstat(self._file).st_size
        self._selector = selector
        self._note = note
        self._marks = 0
        self._line = b""
        self._open = True
        try:
            self.read_end, self.write_end = os.pipe()
        except OSError:
            os.close(self._file)
            raise
        os.set_blocking(self.read_end, False)

    def abandon(self) -> None:
        """Close everything: there is no service."""
        for end in (self._file, self.read_end, self.write_end):
            os.close(end)

    def start(self) -> None:
        """Begin to carry, once the service holds the other end."""
        os.close(self.write_end)
        self._selector.register(self.read_end, selectors.EVENT_READ, self._carry)

    def drain(self) -> None:
        """Carry what is in the pipe now."""
        carried = 0
        while self._open and carried < MAX_DRAIN_BYTES and (size := self._carry()):
            carried += size

    def close(self) -> None:
        """Carry what is in the pipe, and close it."""
        self.drain()
        self._close_pipe()
        os.close(self._file)

    def _carry(self) -> int:
        """Carry one piece; its size, 0 if there is none now."""
        if not self._open:  # closed by what came before in the same round of the loop
            return 0
        try:
            piece = os.read(self.read_end, PIPE_BYTES)
        except BlockingIOError:
            return 0
        if not piece:
            self._close_pipe()
        self._write(piece)
        if self._note is not None:
            self._find_marks(piece)
        return len(piece)

    def _close_pipe(self) -> None:
        if self._open:
            self._open = False
            self._selector.unregister(self.read_end)
            os.close(self.read_end)

    def _write(self, piece: bytes) -> None:
        if self._room <= 0:
            return
        kept = piece[: self._room]
        self._room -= len(kept)
        with suppress(OSError):  # the disk is full: the service is not to blame, and goes on
            os.write(self._file, kept if self._room > 0 else kept + CUT)

    def _find_marks(self, piece: bytes) -> None:
        *lines, rest = (self._line + piece).split(b"\n")
        self._line = rest[: len(MARK_PREFIX) + MAX_MARK_BYTES]
        for line in lines:
            if line.startswith(MARK_PREFIX) and self._marks < MAX_MARKS and self._note is not None:
                self._marks += 1
                text = line.removeprefix(MARK_PREFIX)[:MAX_MARK_BYTES]
                self._note(text.decode(errors="replace").strip(), time.time())
