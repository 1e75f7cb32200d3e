"""A worker process from the side of the one who starts it: warm before it is needed, used once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

STOP_S = 10.0


@dataclass
class Worker:
    """A process that will grade once (see `worker`).

    Attributes:
        process: It.
        results: The descriptor that its result comes from.
        asked: Whether it was asked for anything yet.
        step: What it was asked for; None is everything.
        received: What has come so far.
    """

    process: subprocess.Popen[bytes]
    results: int
    asked: bool = False
    step: str | None = None
    received: bytearray = field(default_factory=bytearray)

    @classmethod
    def start(cls) -> Worker:
        """Start a worker; it gets ready while nobody waits for it."""
        results, out = os.pipe()
        # -P: nothing that a student wrote, and left in the current folder, is imported where grades are made.
        command = [sys.executable, "-P", "-m", "dslab.kit.cli.worker", str(out)]
        # The worker inherits it: an interrupt waits until the worker is ready to end without a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            # A group of its own: Ctrl-C at the terminal is for us, and we tell the worker, once.
            process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[out], process_group=0)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(out)
        os.set_blocking(results, False)
        return cls(process, results)

    def receive(self) -> bool:
        """Take what has come of its result; False when that is all."""
        try:
            piece = os.read(self.results, 65_536)
        except BlockingIOError:
            return True
        self.received += piece
        return bool(piece)

    def ask(self, fields: dict[str, Any], step: str | None) -> None:
        """Let it grade."""
        assert self.process.stdin
        self.asked, self.step = True, step
        with suppress(BrokenPipeError):  # it died; its end tells
            self.process.stdin.write(json.dumps(fields | {"step": step}).encode() + b"\n")
            self.process.stdin.close()

    def end(self) -> None:
        """Stop it, and let it clean up if there is anything."""
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        os.close(self.results)
        if not self.asked:
            self.process.kill()  # else one would wait until it is ready
        elif self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
