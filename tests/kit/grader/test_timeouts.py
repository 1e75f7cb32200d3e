"""The alarm rings inside a check and nowhere else."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from dslab.kit.grader.classify import CheckTimedOut
from dslab.kit.grader.timeouts import Timer

PATIENCE_S = 10.0


@pytest.fixture
def rung() -> Iterator[list[int]]:
    """An alarm that somebody else has set, as pytest-timeout does for this very test."""
    calls: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, _: calls.append(number))
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield calls
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left_s)


def test_rings_in_a_phase(rung: list[int]) -> None:
    timer = Timer()
    timer.start(0.05)
    with pytest.raises(CheckTimedOut, match=r"last resort of 0\.05 s"), timer.phase():
        time.sleep(PATIENCE_S)
    timer.cancel()


def test_waits_for_a_phase(rung: list[int]) -> None:
    timer = Timer()
    timer.start(0.01)
    time.sleep(0.1)  # the books are kept: nothing rings
    with pytest.raises(CheckTimedOut), timer.phase():
        time.sleep(PATIENCE_S)
    timer.cancel()


def test_gives_back_the_alarm_that_was_set_before(rung: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    timer = Timer()
    timer.start(5)
    assert timer.running
    timer.cancel()
    assert not timer.running
    deadline_s = time.monotonic() + PATIENCE_S
    while not rung:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert rung == [signal.SIGALRM]


def test_cancelling_twice_is_harmless(rung: list[int]) -> None:
    timer = Timer()
    timer.start(5)
    timer.cancel()
    timer.cancel()
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= PATIENCE_S


def test_in_another_thread_there_is_none() -> None:
    timer = Timer()
    thread = threading.Thread(target=timer.start, args=(0.01,))
    thread.start()
    thread.join()
    assert not timer.running
