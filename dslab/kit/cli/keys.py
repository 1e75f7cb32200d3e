"""Single keys from a terminal, without Enter; and the terminal as it was, afterwards."""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_keys() -> Iterator[int | None]:
    """Give each key at once and without echo, as long as the block lasts.

    The terminal is put back however the block ends, also by SIGTERM and SIGHUP; and it is set again when the
    program goes on after Ctrl-Z.

    Yields:
        The file descriptor to read keys from; None where stdin is no terminal.
    """
    terminal = sys.stdin.fileno() if _has_terminal() else None
    if terminal is None:
        yield None
        return
    before = termios.tcgetattr(terminal)
    old = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    old[signal.SIGCONT] = signal.signal(signal.SIGCONT, lambda *_: tty.setcbreak(terminal, termios.TCSANOW))
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        for number, handler in old.items():
            signal.signal(number, handler)


def read_keys(terminal: int) -> str:
    """The keys that have been pressed; Ctrl-D if the terminal is gone."""
    try:
        return os.read(terminal, 64).decode(errors="replace") or "\x04"
    except OSError:
        return "\x04"


def _leave(number: int, _frame: object) -> None:
    """End by way of every `finally`, with the status that a shell gives to this signal."""
    sys.exit(128 + number)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
