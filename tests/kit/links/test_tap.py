from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dslab.kit.links import tap
from dslab.kit.links.tap import Tap
from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.recorder import read


def event(number: int) -> Event:
    return Event(t_s=float(number), link="a->b", kind=Kind.CHUNK, size=number)


def in_a_loop(do: Callable[[], None]) -> None:
    async def main() -> None:
        do()

    asyncio.run(main())


def test_everything_that_was_noted_is_in_the_file(tmp_path: Path) -> None:
    def record() -> None:
        own = Tap()
        own.begin(tmp_path / "trace.jsonl", 0.0)
        for number in range(3 * tap.MAX_PENDING):
            own.record(partial(event, number))
        own.end()

    in_a_loop(record)
    assert [one.t_s for one in read(tmp_path / "trace.jsonl")] == list(range(3 * tap.MAX_PENDING))


def test_it_is_written_without_being_asked(tmp_path: Path) -> None:
    async def record() -> None:
        own = Tap()
        own.begin(tmp_path / "trace.jsonl", 0.0)
        for number in range(10 * tap.BATCH):
            own.record(partial(event, number))
        async with asyncio.timeout(20):
            while len(read(tmp_path / "trace.jsonl")) < 10 * tap.BATCH:
                await asyncio.sleep(0.01)
        own.end()

    asyncio.run(record())


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    made: list[int] = []

    def make(number: int) -> Event:
        made.append(number)
        return event(number)

    def record() -> None:
        own = Tap()
        own.record(partial(make, -1))  # nothing is recorded yet: nobody keeps it
        own.begin(tmp_path / "trace.jsonl", 0.0)
        for number in range(5):
            own.record(partial(make, number), tap.MAX_PENDING_BYTES // 4)
        assert made == [0, 1, 2, 3]
        own.end()
        assert made == [0, 1, 2, 3, 4]

    in_a_loop(record)
