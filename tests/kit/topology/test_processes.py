from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dslab.kit.topology import processes

WaitFor = Callable[[Callable[[], object], str], None]

# Two children. One is in a session of its own and without its parent: that is gone when it says its number.
FAMILY = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    while os.getppid() == os.getsid(0):
        time.sleep(0.001)
elif os.fork() == 0:
    pass
os.write(1, f"{os.getpid()} ".encode().ljust(10))
time.sleep(1000)
"""

# At any moment one process, never the same for long. It holds a lock, which its children inherit.
HOPPING = """
import fcntl, os, sys
held = open(sys.argv[1], "w")
fcntl.flock(held, fcntl.LOCK_SH)
os.write(1, b"!")
while os.fork() == 0:
    os.setsid()
os._exit(0)
"""


@pytest.fixture(
    params=[pytest.param(True, marks=pytest.mark.skipif(not processes.LINUX, reason="no /proc")), False]
)
def table_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once with Linux's /proc, once with psutil."""
    monkeypatch.setattr(processes, "LINUX", request.param)


@pytest.fixture
def mark() -> Iterator[str]:
    mark = f"test-{os.getpid()}-{os.urandom(4).hex()}/"
    yield mark
    processes.end_marked(mark)


@pytest.fixture
def family(mark: str) -> Iterator[set[int]]:
    """Three processes with that mark."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY],
        stdout=subprocess.PIPE,
        env={**os.environ, processes.MARK: f"{mark}1/s"},
        start_new_session=True,
    ) as first:
        assert first.stdout is not None
        try:
            yield {int(first.stdout.read(10)) for _ in range(3)}
        finally:
            processes.end_marked(mark)


@pytest.mark.usefixtures("table_of")
def test_the_table(family: set[int]) -> None:
    table = processes.process_table()
    assert family <= table.keys()
    me = table[os.getpid()]
    assert me == (os.getppid(), os.getpgrp(), os.getsid(0))


@pytest.mark.usefixtures("table_of")
def test_marks_are_inherited(family: set[int], mark: str) -> None:
    assert {processes.mark_of(pid) for pid in family} == {f"{mark}1/s"}
    assert processes.marked(mark) == family
    assert processes.marked(f"{mark}2/") == set()


@pytest.mark.usefixtures("table_of")
def test_end(family: set[int], mark: str) -> None:
    assert processes.end_marked(mark) == set()
    assert not family & processes.process_table().keys()


@pytest.mark.skipif(not processes.LINUX, reason="elsewhere nobody tells the newest number")
def test_end_of_one_that_is_in_no_table(
    mark: str, tmp_path: Path, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who forks and exits all the time is met although no look at the table ever shows it."""
    # The table shows it while it has no turn, but here nobody looks; and other tests may fork on and on.
    monkeypatch.setattr(processes, "BEHIND", 20_000)
    lock = tmp_path / "alive"
    with subprocess.Popen(
        [sys.executable, "-c", HOPPING, lock],
        stdout=subprocess.PIPE,
        env={**os.environ, processes.MARK: f"{mark}1/s"},
    ) as first:
        assert first.stdout is not None
        assert first.stdout.read(1) == b"!"
        assert processes.end(set, lambda text: text.startswith(mark)) == set()

    def free() -> bool:
        with lock.open() as again, suppress(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    wait_for(free, "the lock of one that is dead")  # at once, but for the moment that dying takes


def test_family() -> None:
    rows = {pid: processes.Row(parent, 0, 0) for pid, parent in {2: 1, 3: 1, 4: 2, 5: 4, 6: 9}.items()}
    assert processes.family([2], rows) == {2, 4, 5}
    assert processes.family([2, 6, 77], rows) == {2, 4, 5, 6}
    assert processes.family([], rows) == set()


def test_giving_up() -> None:
    """Whoever cannot be ended is named: process 1 is nobody's to stop, and signal 0 stops nobody."""
    calls = iter(range(1_000_000))
    left = processes.end(lambda: {2_000_000_000 + next(calls)}, lambda _mark: False, patience_s=0.05)
    assert len(left) == 1


def test_a_process_that_is_gone_has_no_mark() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    assert processes.mark_of(gone.pid) == ""
