"""What is acknowledged survives: the log, cut and damaged at every place, and servers that are killed.

How often a server is killed is DSLAB_KILLS (20 unless told); 200 take some minutes.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import MachineError, PeerClosed, PeerError
from dslab.linda.aclient import connect as connect_async
from dslab.linda.client import Client, connect
from dslab.linda.journal import Journal
from dslab.linda.matching import anything
from dslab.linda.protocol import Dropped, Opened, Spaces
from dslab.linda.server import Options, serving
from dslab.linda.store import Stored

KILLS = int(os.environ.get("DSLAB_KILLS", "20"))
MOST_PUTS = 200
"""A server is killed when it has acknowledged some number of tuples below this."""


def tuples_in(folder: Path) -> dict[int, Stored]:
    spaces = Spaces(durable=True)
    Journal(folder, spaces).close()
    return {stored.number: stored for stored in spaces._store.all()}


def written(folder: Path, *batches: list[Any]) -> Path:
    journal = Journal(folder, Spaces(durable=True))
    for batch in batches:
        journal.write(batch)
    journal.close()
    return folder / "space.log"


ONE, TWO = Stored(1, 0, ("a", (1, 2**80)), None), Stored(2, 1, (2.5,), 99.0)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written(tmp_path, [Opened(1), ONE], [TWO], [Stored(3, 0, ("gone",), None)], [Dropped(3)])
    assert tuples_in(tmp_path) == {1: ONE, 2: TWO}
    assert tuples_in(tmp_path) == {1: ONE, 2: TWO}  # the first reading wrote it anew


def test_any_cut_leaves_whole_batches(tmp_path: Path) -> None:
    log = written(tmp_path / "whole", [ONE], [TWO, Stored(3, 0, ("b",), None)])
    data = log.read_bytes()
    seen = set()
    for cut in range(len(data), 15, -1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "space.log").write_bytes(data[:cut])
        seen.add(frozenset(tuples_in(folder)))
        (folder / "space.log").write_bytes(data[:cut] + b"\0" * 20)  # space was allotted, nothing written
        seen.add(frozenset(tuples_in(folder)))
    assert seen == {frozenset({1, 2, 3}), frozenset({1}), frozenset()}


def test_damage_is_an_error_wherever_it_is(tmp_path: Path) -> None:
    log = written(tmp_path, [ONE], [Stored(2, 0, ("b",), None)])
    data = log.read_bytes()
    for at in [place for place in range(len(data)) if place != 15]:  # there is the version
        for bit in (1, 0x80):
            damaged = data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]
            log.write_bytes(damaged)
            with pytest.raises(MachineError, match="is damaged at byte"):
                tuples_in(tmp_path)
            assert log.read_bytes() == damaged


def test_what_may_be_more_than_a_torn_end_is_cut_off_but_kept(tmp_path: Path) -> None:
    log = written(tmp_path, [ONE], [TWO])
    data = log.read_bytes()
    assert set(tuples_in(tmp_path)) == {1, 2}
    assert [path.name for path in tmp_path.glob("space*")] == ["space.log"]
    zeros = data[:20] + bytes(len(data) - 20)
    log.write_bytes(zeros)
    assert tuples_in(tmp_path) == {}
    assert (tmp_path / "space.log.cut-at-16").read_bytes() == zeros


def test_a_log_of_another_version_is_named(tmp_path: Path) -> None:
    log = written(tmp_path, [ONE])
    log.write_bytes(b"dslab.linda log\x01" + log.read_bytes()[16:])
    with pytest.raises(
        MachineError, match=r"is a log of version 1; this server reads version 2. Move it away"
    ):
        tuples_in(tmp_path)


def test_a_disk_that_takes_no_log_is_a_message(tmp_path: Path) -> None:
    written(tmp_path / "full", [Stored(1, 0, ("a", b"x" * 20_000), None)])
    (tmp_path / "odd" / "space.log").mkdir(parents=True)
    for folder, limit, reason in (("full", 8, "File too large"), ("odd", "unlimited", "Is a directory")):
        server = f"{sys.executable} -m dslab.linda server --bind 127.0.0.1:0 --data {tmp_path / folder}"
        command = ["bash", "-c", f"ulimit -f {limit}; exec {server}"]
        uncached = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # the limit would cut compiled modules short
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=uncached)
        assert (ended.returncode, ended.stdout) == (3, "")
        assert ended.stderr.startswith(f"Cannot keep tuples in {tmp_path / folder}: {reason}. Name one")


def test_nothing_is_acknowledged_before_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, Spaces(durable=True))
    synced_bytes = []
    sync = os.fdatasync

    def record(descriptor: int) -> None:
        sync(descriptor)
        synced_bytes.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", record)
    for change in (ONE, TWO):
        journal.write([change])
        assert synced_bytes[-1] == (tmp_path / "space.log").stat().st_size
    assert len(synced_bytes) == 2
    journal.close()


def test_after_a_write_that_failed_nothing_is_written_and_nothing_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came after half a record could not be told from damage."""

    def fill(file: BinaryIO, data: bytes) -> None:
        monkeypatch.undo()  # somebody makes room on the disk
        file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    async def scenario() -> None:
        async with serving(Address("127.0.0.1", 0), Options(data=tmp_path)) as (address, server):
            async with await connect_async(address) as one, await connect_async(address) as other:
                await one.universe.out(("kept",))
                monkeypatch.setattr("dslab.linda.journal.write_whole", fill)
                failed = asyncio.create_task(one.universe.out(("lost",)))
                await asyncio.wait([server.failed])
                late = asyncio.create_task(other.universe.out(("late",)))
                while server._spaces._store.count(0, anything(1)) < 3:
                    await asyncio.sleep(0)
                server.close()
                for task in (failed, late):
                    with pytest.raises(PeerClosed):
                        await task
            assert isinstance(server.failed.exception(), MachineError)

    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert [stored.fields for stored in tuples_in(tmp_path).values()] == [("kept",)]


def test_one_server_at_a_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path, Spaces(durable=True))
    with pytest.raises(MachineError, match="Another server uses"):
        Journal(tmp_path, Spaces(durable=True))
    journal.close()


def test_a_disk_that_has_no_locks_is_not_taken_for_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(MachineError, match="No locks available"):
        Journal(tmp_path, Spaces(durable=True))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # so warns CPython from 3.12 on
def test_a_child_that_outlives_its_server_does_not_keep_the_folder(
    tmp_path: Path, fork_child: Callable[[], None]
) -> None:
    journal = Journal(tmp_path, Spaces(durable=True))
    fork_child()
    with pytest.raises(MachineError, match="Another server uses"):
        Journal(tmp_path, Spaces(durable=True))
    journal.close()
    Journal(tmp_path, Spaces(durable=True)).close()


def test_the_log_does_not_grow_with_what_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, Spaces(durable=True))
    for number in range(1, 60):
        journal.write([Stored(number, 0, ("a", b"x" * 100_000), None), Dropped(number)])
        assert (tmp_path / "space.log").stat().st_size < 1_300_000
    journal.close()


def test_a_log_that_cannot_be_written_anew_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No room on the disk for two, or no descriptor, as clients have them all."""
    spaces = Spaces(durable=True)
    journal, kept = Journal(tmp_path / "log", spaces), Stored(1, 0, ("kept",), None)
    spaces.load([kept], 0)
    journal.write([kept])

    def refuse(file: BinaryIO, data: bytes) -> None:
        if (tmp_path / "log" / "space.new").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(data)

    def grow(first: int) -> Path:
        for number in range(first, first + 30):
            journal.write([Stored(number, 0, ("gone", b"x" * 100_000), None)])
            journal.write([Dropped(number)])
        (tmp_path / str(first)).mkdir()
        return Path(shutil.copy(tmp_path / "log" / "space.log", tmp_path / str(first)))

    with monkeypatch.context() as patch:
        patch.setattr("dslab.linda.journal.write_whole", refuse)
        grown = grow(100)
        assert grown.stat().st_size > 3_000_000
        assert list(tuples_in(grown.parent)) == [1]
        assert not (tmp_path / "log" / "space.new").exists()
    assert caplog.text.count("cannot be written anew: No space left on device") == 3  # not at each write
    swept = grow(200)
    assert swept.stat().st_size < 2_500_000
    assert list(tuples_in(swept.parent)) == [1]
    journal.close()


def test_what_is_written_anew_in_vain_is_no_more_than_what_is_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that has room for a part of the log only is not filled with it again and again."""
    spaces, in_vain = Spaces(durable=True), 0
    spaces.load([Stored(number, 0, ("kept", b"x" * 1_000), None) for number in range(1, 5_001)], 0)
    journal = Journal(tmp_path, spaces)

    def fill(file: BinaryIO, data: bytes) -> None:
        nonlocal in_vain
        file.write(data)
        if (tmp_path / "space.new").exists():
            in_vain += len(data)
            if file.tell() > 4_000_000:
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dslab.linda.journal.write_whole", fill)
    for number in range(10_000, 10_300):
        journal.write([Stored(number, 0, ("gone", b"x" * 100_000), None)])
        journal.write([Dropped(number)])
    assert 0 < in_vain < 300 * 100_000
    journal.close()


def test_a_durable_server_starts_again_where_it_stopped(
    serve: Callable[..., Address], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(serve(data=tmp_path / "one")) as linda:
        blog = linda.new_space()
        linda.universe.out(("MicroBlog", blog))
        blog.out(("bob", "hello"))
        linda.universe.out(("task", 1))
        linda.universe.out(("lease",), lease_s=1_000.0)
        with linda.transaction() as together:
            together(linda.universe).in_(("task", 1))
            together(linda.universe).out(("result", 1))
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "space.log").write_bytes((tmp_path / "one" / "space.log").read_bytes())
    later = SimpleNamespace(time=lambda: time.time() + 2_000, monotonic=time.monotonic)
    monkeypatch.setattr("dslab.linda.server.time", later)  # the lease has ended by then, and not before
    with connect(serve(data=tmp_path / "two")) as linda:
        blog = linda.universe.rd(("MicroBlog", type(blog)))[1]
        assert blog.rdp((str, str)) == ("bob", "hello")
        assert linda.new_space().number == 2
        counts = [linda.universe.count(template) for template in (("task", int), ("result", int), ("lease",))]
        assert counts == [0, 1, 0]


class Storm:
    """A client that puts and takes numbered tuples until the server dies, and notes what it was told.

    Attributes:
        put: Acknowledged, by label: ``kept`` and ``pair`` are never taken, ``free`` are.
        unknown: Sent, but no reply came.
        pairs: Numbers that were put in one transaction.
    """

    def __init__(self, address: str, seed: int, first: int) -> None:
        self.put: set[tuple[str, int]] = set()
        self.taken: set[tuple[str, int]] = set()
        self.unknown: set[tuple[str, int]] = set()
        self.pairs: list[tuple[int, int]] = []
        self.lost_takes = 0
        self._rng = random.Random(seed)
        self._next = first
        self._address = address

    def run(self) -> None:
        try:
            with connect(self._address, timeout_s=30) as linda:
                while True:
                    self._step(linda)
        except PeerError:
            return

    def _step(self, linda: Client) -> None:
        kind = self._rng.random()
        if kind < 0.5:
            self._out(linda, self._rng.choice(["free", "kept"]))
        elif kind < 0.8:
            self._take(linda)
        else:
            self._both(linda)

    def _new(self) -> int:
        self._next += 1
        return self._next

    def _out(self, linda: Client, label: str) -> None:
        fields = label, self._new()
        self.unknown.add(fields)
        linda.universe.out(fields)
        self.unknown.remove(fields)
        self.put.add(fields)

    def _take(self, linda: Client) -> None:
        self.lost_takes += 1
        found = linda.universe.inp(("free", int))
        self.lost_takes -= 1
        if found:
            self.taken.add(("free", found[1]))

    def _both(self, linda: Client) -> None:
        """A transaction: two tuples, or none."""
        one, other = pair = self._new(), self._new()
        self.pairs.append(pair)
        both = {("pair", one), ("pair", other)}
        self.unknown |= both
        with linda.transaction() as together:
            for number in pair:
                together(linda.universe).out(("pair", number))
        self.unknown -= both
        self.put |= both


def start(folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "dslab.linda", "server", "--bind", "127.0.0.1:0", "--data", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert process.stdout is not None
    return process, process.stdout.readline().split()[-1]


@pytest.mark.timeout(120 + 5 * KILLS)
def test_an_acknowledged_out_survives_kill_9(tmp_path: Path) -> None:
    rng = random.Random(7)
    storms: list[Storm] = []
    for kill in range(KILLS):
        process, address = start(tmp_path)
        with process:
            new = [Storm(address, rng.randrange(2**32), (kill * 3 + n) * 1_000_000) for n in range(3)]
            threads = [threading.Thread(target=storm.run) for storm in new]
            for thread in threads:
                thread.start()
            wanted = rng.randrange(MOST_PUTS)
            while sum(len(storm.put) for storm in new) < wanted:  # a random moment of their work, not of time
                assert process.poll() is None
                time.sleep(random.uniform(0, 0.01))  # `rng` is for what repeats
            process.kill()
            for thread in threads:
                thread.join(60)
        storms += new
    there = Counter(stored.fields for stored in tuples_in(tmp_path).values())
    put, taken, unknown = (
        set[tuple[str, int]]().union(*[getattr(storm, name) for storm in storms])
        for name in ("put", "taken", "unknown")
    )
    assert max(there.values()) == 1, "doubled"
    assert set(there) <= put | unknown, "from nowhere"
    assert not set(there) & taken, "taken and back"
    gone = put - taken - set(there)
    assert not {fields for fields in gone if fields[0] != "free"}, "acknowledged and gone"
    assert len(gone) <= sum(storm.lost_takes for storm in storms), "a lost take has at most one tuple"
    halves = [
        pair for storm in storms for pair in storm.pairs if there["pair", pair[0]] != there["pair", pair[1]]
    ]
    assert not halves, "half a transaction"
    assert len(put) > 5 * KILLS
