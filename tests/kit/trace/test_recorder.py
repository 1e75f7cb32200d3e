from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dslab.kit.errors import MachineError
from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.recorder import FULL, Recorder, cut_bytes, read


def chunk(t_s: float, data: bytes = b"x", size: int | None = None) -> Event:
    whole = len(data) if size is None else size
    return Event(t_s=t_s, link="a->b", kind=Kind.CHUNK, direction="forward", data=data, size=whole)


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "check" / "trace.jsonl"


def test_what_was_recorded_is_read_back(path: Path) -> None:
    with Recorder(path, epoch_s=0) as recorder:
        for number in range(100):
            recorder.record(chunk(number, b"%d" % number))
    assert [event.data for event in read(path)] == [b"%d" % number for number in range(100)]


def test_long_bytes_are_cut_and_their_length_is_kept(path: Path) -> None:
    with Recorder(path, 0, max_bytes_per_event=10) as recorder:
        recorder.record(chunk(0, b"0123456789abc"))
        recorder.record(chunk(1, b"0123456789abc", size=5_000_000))
        recorder.record(chunk(2, b"0123456789"))
    first, second, third = read(path)
    assert (first.data, first.size, cut_bytes(first)) == (b"0123456789", 13, 3)
    assert (second.data, second.size, cut_bytes(second)) == (b"0123456789", 5_000_000, 4_999_990)
    assert cut_bytes(third) == 0


def test_a_full_file_says_so_once_and_still_takes_the_story(path: Path) -> None:
    with Recorder(path, 0, max_file_bytes=10_000) as recorder:
        for number in range(1_000):
            recorder.record(chunk(number, b"x" * 100))
        recorder.record(Event(t_s=1_000, link="b", kind=Kind.NODE, label="killed"))
        recorder.record(Event(t_s=1_001, link="", kind=Kind.CHECK, label="failed"))
        assert recorder.dropped > 900
    assert path.stat().st_size < 12_000
    events = read(path)
    assert [event.label for event in events[-3:]] == [FULL, "killed", "failed"]
    assert sum(event.label == FULL for event in events) == 1


def test_even_the_story_is_bounded(path: Path) -> None:
    with Recorder(path, 0, max_file_bytes=1_000) as recorder:
        for number in range(10_000):
            recorder.record(Event(t_s=number, link="b", kind=Kind.NODE, label="killed", note="x" * 100))
    assert path.stat().st_size < 300_000


def test_it_reaches_the_disk_without_being_asked(path: Path) -> None:
    with Recorder(path, 0) as recorder:
        recorder.record(chunk(1))
        wait_until(lambda: len(read(path)) == 1)


def test_after_close_it_drops(path: Path) -> None:
    recorder = Recorder(path, 0)
    recorder.close()
    recorder.close()
    recorder.record(chunk(1))
    assert recorder.dropped == 1
    assert read(path) == []


def test_a_full_disk_is_told_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    recorder = Recorder(path, 0)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        recorder.record(chunk(1))
        recorder.flush()
        recorder.record(chunk(2))
    assert recorder.dropped == 1
    with pytest.raises(MachineError, match=r"could not be written: No space left on device"):
        recorder.close()
    recorder.close()


def test_a_torn_line_is_left_out_and_what_follows_is_not(path: Path) -> None:
    with Recorder(path, 0) as recorder:
        recorder.record(chunk(1))
        recorder.record(chunk(2))
    path.write_bytes(path.read_bytes()[:-9])
    assert [event.t_s for event in read(path)] == [1]
    with path.open("ab") as file:
        file.write(b"\n\xff\xfe\n")
    with Recorder(path, 0) as recorder:
        recorder.record(chunk(3))
    assert [event.t_s for event in read(path)] == [1, 3]


def test_several_files_are_merged_by_time(tmp_path: Path) -> None:
    for name, times in (("one", (1, 4, 5)), ("two", (2, 3, 6))):
        with Recorder(tmp_path / name, 0) as recorder:
            for t_s in times:
                recorder.record(chunk(t_s))
    merged = read(tmp_path / "one", tmp_path / "two", tmp_path / "three")
    assert [event.t_s for event in merged] == [1, 2, 3, 4, 5, 6]


def test_threads_do_not_mix_their_lines(path: Path) -> None:
    with Recorder(path, 0) as recorder:

        def record(first: int) -> None:
            for number in range(500):
                recorder.record(chunk(first + number, b"y" * 500))

        threads = [threading.Thread(target=record, args=(first,)) for first in (0, 1_000, 2_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read(path)) == 1_500


WRITER = """
import sys
from pathlib import Path
from dslab.kit.errors import MachineError
from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.recorder import Recorder
recorder = Recorder(Path(sys.argv[1]), 0)
number = 0
while True:
    recorder.record(Event(t_s=number, link="a->b", kind=Kind.CHUNK, data=b"z" * 700, size=700))
    number += 1
    if number == 2_000:
        recorder.flush()
        print("go", flush=True)
"""


def test_a_killed_writer_leaves_what_it_had_flushed(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"go\n"
        writer.kill()
    events = read(path)
    assert len(events) >= 2_000
    assert [event.t_s for event in events] == list(range(len(events)))


def test_two_recorders_may_share_a_file(path: Path) -> None:
    with Recorder(path, 0) as one, Recorder(path, 0) as other:
        for number in range(1_000):
            (one if number % 2 else other).record(chunk(number, b"w" * 300))
    assert len(read(path)) == 1_000


def test_now_counts_from_the_epoch(path: Path) -> None:
    with Recorder(path, epoch_s=time.time() - 100) as recorder:
        assert 99 < recorder.now() < 160


def test_recording_is_cheap(path: Path) -> None:
    """A few microseconds each; the bound is generous, since this machine may be busy with other things."""
    event = chunk(1, b"x" * 1_000)
    with Recorder(path, 0) as recorder:
        best_s = min(_time_of(recorder, event) for _ in range(5))
    assert best_s < 100e-6


def _time_of(recorder: Recorder, event: Event, count: int = 500) -> float:
    began_s = time.process_time()
    for _ in range(count):
        recorder.record(event)
    return (time.process_time() - began_s) / count
