"""Drives a server: one call after another, or n at a time, for a while. Gives times, rates, CPU time."""

from __future__ import annotations

import asyncio
import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    contextmanager,
)
from typing import Any, Protocol

SECONDS = 0.25
SLICE_S = 0.05
FEWEST_CALLS = 7
WARM_UP_CALLS = 3
SMALL = "a small argument"
CHANCE = random.Random(1)
VALUES: dict[str, Any] = {"small": SMALL, "1 KiB": CHANCE.randbytes(2**10), "1 MiB": CHANCE.randbytes(2**20)}
"""Bytes by chance: some peers compress, and zeros would flatter them."""
IN_FLIGHT = (1, 8, 64)

Echo = Callable[[Any], Any]
Connect = Callable[[], AbstractContextManager[Echo]]
EchoAll = Callable[[Sequence[Any]], Callable[[], object]]
"""Sends a window of requests: gives what fetches the replies."""
ConnectWindows = Callable[[], AbstractContextManager[tuple[Echo, EchoAll]]]
ConnectTasks = Callable[[], AbstractAsyncContextManager[Callable[[Any], Awaitable[Any]]]]
Cpu = Callable[[], float]
"""Says how much CPU time the server has taken."""
Figures = dict[str, float]


class Driver(Protocol):
    """Drives one server."""

    def latency(self, value: Any) -> Figures:
        """Call with a value, one call after another."""

    def throughput(self, in_flight: int) -> Figures:
        """Keep so many small calls under way."""


def one_by_one(echo: Echo, value: Any, cpu_s: Cpu) -> Figures:
    """Time one call after another, for a slice of a round."""
    for _ in range(WARM_UP_CALLS):
        _check(echo(value), value)
    times_s: list[float] = []
    before_s, start_s = cpu_s(), time.perf_counter()
    while len(times_s) < FEWEST_CALLS or time.perf_counter() - start_s < SLICE_S:
        begin_s = time.perf_counter()
        echo(value)
        times_s.append(time.perf_counter() - begin_s)
    taken_s = cpu_s() - before_s
    return {"p50_us": statistics.median(times_s) * 1e6, "cpu_us": taken_s / len(times_s) * 1e6}


def rate(calls: int, elapsed_s: float, taken_s: float) -> Figures:
    """Give what came of so many calls."""
    return {"per_s": calls / elapsed_s, "cpu_us": taken_s / calls * 1e6}


def _check(result: Any, value: Any) -> None:
    if result != value:
        raise ValueError(f"{str(value)[:40]} came back as {str(result)[:40]}")


class Blocking:
    """A call at a time, or threads with a connection each."""

    def __init__(self, stack: ExitStack, connect: Connect, cpu_s: Cpu) -> None:
        self._connect = connect
        self._cpu_s = cpu_s
        self._echo = stack.enter_context(connect())

    def latency(self, value: Any) -> Figures:
        """Call with a value, one call after another."""
        return one_by_one(self._echo, value, self._cpu_s)

    def throughput(self, in_flight: int) -> Figures:
        """Let so many threads call."""
        counts = [0] * in_flight
        together = threading.Barrier(in_flight + 1)
        enough = threading.Event()

        def call(thread: int) -> None:
            with _breaking(together), self._connect() as echo:
                echo(SMALL)
                together.wait()
                while not (enough.is_set() and counts[thread]):
                    echo(SMALL)
                    counts[thread] += 1
                together.wait()

        with ThreadPoolExecutor(in_flight) as pool:
            done = [pool.submit(call, number) for number in range(in_flight)]
            with _breaking(together):
                together.wait()
                before_s, start_s = self._cpu_s(), time.perf_counter()
                time.sleep(SECONDS)
                enough.set()
                together.wait()
                figures = rate(sum(counts), time.perf_counter() - start_s, self._cpu_s() - before_s)
        for each in done:
            each.result()
        return figures


@contextmanager
def _breaking(together: threading.Barrier) -> Iterator[None]:
    """Let nobody wait for one who has failed."""
    try:
        yield
    except BaseException:
        together.abort()
        raise


class Windows:
    """A call at a time, or windows of requests in one write."""

    def __init__(self, stack: ExitStack, connect: ConnectWindows, cpu_s: Cpu) -> None:
        self._cpu_s = cpu_s
        self._echo, self._echo_all = stack.enter_context(connect())

    def latency(self, value: Any) -> Figures:
        """Call with a value, one call after another."""
        return one_by_one(self._echo, value, self._cpu_s)

    def throughput(self, in_flight: int) -> Figures:
        """Send half of them, fetch the replies to the other half, again and again: both sides have work."""
        window = [SMALL] * max(1, in_flight // 2)
        self._echo_all(window)()
        calls = 0
        before_s, start_s = self._cpu_s(), time.perf_counter()
        under_way = deque(self._echo_all(window) for _ in range(min(2, in_flight)))
        while under_way:
            under_way.popleft()()
            calls += len(window)
            if time.perf_counter() - start_s < SECONDS:
                under_way.append(self._echo_all(window))
        return rate(calls, time.perf_counter() - start_s, self._cpu_s() - before_s)


class Tasks:
    """An asyncio client."""

    def __init__(self, stack: ExitStack, connect: ConnectTasks, cpu_s: Cpu) -> None:
        self._cpu_s = cpu_s
        self._runner = stack.enter_context(asyncio.Runner())
        self._stack = AsyncExitStack()
        stack.callback(lambda: self._runner.run(self._stack.aclose()))
        self._echo = self._runner.run(self._stack.enter_async_context(connect()))

    def latency(self, value: Any) -> Figures:
        """Await one call after another."""
        return self._runner.run(self._one_by_one(value))

    def throughput(self, in_flight: int) -> Figures:
        """Let so many tasks call."""
        return self._runner.run(self._all_at_once(in_flight))

    async def _one_by_one(self, value: Any) -> Figures:
        echo = self._echo
        for _ in range(WARM_UP_CALLS):
            _check(await echo(value), value)
        times_s: list[float] = []
        before_s, start_s = self._cpu_s(), time.perf_counter()
        while len(times_s) < FEWEST_CALLS or time.perf_counter() - start_s < SLICE_S:
            begin_s = time.perf_counter()
            await echo(value)
            times_s.append(time.perf_counter() - begin_s)
        taken_s = self._cpu_s() - before_s
        return {"p50_us": statistics.median(times_s) * 1e6, "cpu_us": taken_s / len(times_s) * 1e6}

    async def _all_at_once(self, in_flight: int) -> Figures:
        echo, calls = self._echo, 0
        await asyncio.gather(*(echo(SMALL) for _ in range(in_flight)))
        before_s, start_s = self._cpu_s(), time.perf_counter()

        async def call() -> None:
            nonlocal calls
            mine = 0
            while not mine or time.perf_counter() - start_s < SECONDS:
                await echo(SMALL)
                mine += 1
            calls += mine

        await asyncio.gather(*(call() for _ in range(in_flight)))
        return rate(calls, time.perf_counter() - start_s, self._cpu_s() - before_s)


def blocking(connect: Connect) -> Callable[[ExitStack, Cpu], Driver]:
    """Drive with a blocking client."""
    return lambda stack, cpu_s: Blocking(stack, connect, cpu_s)


def windows(connect: ConnectWindows) -> Callable[[ExitStack, Cpu], Driver]:
    """Drive with a blocking client that can have several calls under way."""
    return lambda stack, cpu_s: Windows(stack, connect, cpu_s)


def tasks(connect: ConnectTasks) -> Callable[[ExitStack, Cpu], Driver]:
    """Drive with an asyncio client."""
    return lambda stack, cpu_s: Tasks(stack, connect, cpu_s)
