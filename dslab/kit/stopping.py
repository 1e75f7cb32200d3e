"""SIGTERM and Ctrl-C as an event, for servers on asyncio."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_event() -> Iterator[asyncio.Event]:
    """Give an event that SIGTERM and Ctrl-C set, in place of what they do otherwise.

    The running loop has to be that of the main thread. Afterwards both do what Python has them do: a loop of
    uvloop's does not see to that when it is closed, and Ctrl-C would from then on reach nobody.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for stop in STOPS:
        loop.add_signal_handler(stop, stopped.set)
    try:
        yield stopped
    finally:
        for stop in STOPS:
            loop.remove_signal_handler(stop)
