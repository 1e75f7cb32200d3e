"""A check's last resort: after `StepMark.timeout_s` it ends in *error*.

pytest-timeout decides when the clock runs; this module decides what happens when it has run out. Its own
answer is `pytest.fail`, which would count against the student.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Protocol

import pytest

from dslab.kit.grader.classify import CheckTimedOut

TEARDOWN_S = 30.0  # what the teardown of a check that timed out may still take
_RETRY_S = 0.05


class Settings(Protocol):
    """What pytest-timeout passes on."""

    timeout: float


class Timer:
    """The one alarm clock. It interrupts only inside a phase of a check, never what keeps the books."""

    def __init__(self) -> None:
        self._in_phase = False
        self._restore: Callable[[], None] | None = None

    @contextmanager
    def phase(self) -> Generator[None]:
        """While set-up, call or teardown of a check runs."""
        self._in_phase = True
        try:
            yield
        finally:
            self._in_phase = False

    @property
    def running(self) -> bool:
        """Whether the alarm is set."""
        return self._restore is not None

    def start(self, timeout_s: float) -> None:
        """Set the alarm."""
        if threading.current_thread() is not threading.main_thread():
            return  # signals reach the main thread alone; such a run has no last resort
        self._restore = _remember()

        def expire(signum: int, frame: FrameType | None) -> None:
            if not self._in_phase:
                signal.setitimer(signal.ITIMER_REAL, _RETRY_S)
                return
            signal.setitimer(signal.ITIMER_REAL, TEARDOWN_S)
            raise CheckTimedOut(f"The check still ran after its last resort of {timeout_s:g} s.")

        signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, timeout_s)

    def cancel(self) -> None:
        """Stop the alarm, and give back whatever alarm was set before."""
        if self._restore:
            self._restore()
            self._restore = None


def _remember() -> Callable[[], None]:
    handler = signal.getsignal(signal.SIGALRM)
    left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, 0)
    since = time.monotonic()

    def restore() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left_s:
            signal.setitimer(signal.ITIMER_REAL, max(left_s - (time.monotonic() - since), 0.01), interval_s)

    return restore


def give_lines(error: BaseException) -> None:
    """Give each frame of its traceback a line, and of those that it came from.

    An alarm may ring at an instruction that belongs to no line of the source, at the end of a loop for one.
    pytest can tell of no such frame: it would end the whole run.
    """
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
            one.__traceback__ = _with_lines(one.__traceback__)


def _with_lines(traceback: TracebackType | None) -> TracebackType | None:
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    found: TracebackType | None = None
    for entry in reversed(entries):
        line: int | None = entry.tb_lineno  # in spite of what its type says
        found = TracebackType(
            found, entry.tb_frame, entry.tb_lasti, line or entry.tb_frame.f_code.co_firstlineno
        )
    return found


class TimeoutPlugin:
    """Takes the place of pytest-timeout's own alarm."""

    def __init__(self) -> None:
        self.timer = Timer()

    @pytest.hookimpl(optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Settings) -> bool:
        """Set the alarm for a check; true keeps pytest-timeout from setting its own."""
        self.timer.start(settings.timeout)
        return True

    @pytest.hookimpl(optionalhook=True)
    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> bool:
        """Stop it."""
        self.timer.cancel()
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, Any, Any]:
        """The alarm may ring in here."""
        with self.timer.phase():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        """The alarm may ring in here."""
        with self.timer.phase():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        """The alarm may ring in here. pytest-timeout stops it when a call fails, so it is set anew."""
        if not self.timer.running:
            self.timer.start(TEARDOWN_S)
        with self.timer.phase():
            return (yield)
