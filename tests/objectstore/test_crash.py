"""kill -9, again and again, under eight writers: what was acknowledged is there, whole; no half appears.

DSLAB_KILLS says how often (by default 3 times; a release is tried with 200).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from dslab.kit.errors import PeerError
from dslab.objectstore.client import Client, StoreRefused, connect
from dslab.objectstore.store import Store
from tests.objectstore.conftest import ID, SECRET, server_process

KILLS = int(os.environ.get("DSLAB_KILLS", "3"))
WRITERS = 8
KEYS_PER_WRITER = 4
SIZES = (0, 10, 1_000, 100_000, 1_200_000)
BUCKET = "bucket"


def body_of(seed: int) -> bytes:
    """A body that tells by itself whether it is whole."""
    rng = Random(seed)
    filling = rng.randbytes(rng.choice(SIZES))
    return hashlib.sha256(filling).digest() + seed.to_bytes(8, "big") + filling


def seed_of(body: bytes) -> int:
    assert hashlib.sha256(body[40:]).digest() == body[:32], "half an object"
    return int.from_bytes(body[32:40], "big")


@dataclass
class Writer:
    """One client's view: what it was told, and what it was not told any more."""

    number: int
    rng: Random
    acknowledged: dict[str, int | None] = field(default_factory=dict)  # key: seed; None if deleted
    pending: dict[str, set[int | None]] = field(default_factory=dict)  # what may have happened since
    writes: int = 0

    def write_until_cut(self, address: str) -> None:
        """Put and delete until the server is gone."""
        with suppress(PeerError), connect(address, f"{ID}:{SECRET}", timeout_s=20) as store:
            while True:
                self.write(store)

    def write(self, store: Client) -> None:
        key = f"{self.number}/{self.rng.randrange(KEYS_PER_WRITER)}"
        seed = None if self.rng.random() < 0.15 else self.rng.getrandbits(60)
        self.pending.setdefault(key, set()).add(seed)
        if seed is None:
            store.delete(BUCKET, key)
        else:
            store.put(BUCKET, key, body_of(seed))
        self.acknowledged[key] = seed
        self.pending[key] = set()
        self.writes += 1

    def check(self, store: Client) -> None:
        """Is everything there that was acknowledged, or what was asked for after it?"""
        for number in range(KEYS_PER_WRITER):
            key = f"{self.number}/{number}"
            found = read(store, key)
            allowed = {self.acknowledged.get(key), *self.pending.get(key, set())}
            assert found in allowed, f"{key}: {found} is none of {allowed}"
            self.acknowledged[key] = found
            self.pending[key] = set()


def read(store: Client, key: str) -> int | None:
    try:
        told = store.head(BUCKET, key)
        body = store.get(BUCKET, key)
    except StoreRefused as error:
        assert error.code == "NoSuchKey"
        return None
    assert hashlib.md5(body).hexdigest() == told.etag
    return seed_of(body)


def run_writers(writers: list[Writer], address: str) -> list[threading.Thread]:
    threads = [threading.Thread(target=writer.write_until_cut, args=(address,)) for writer in writers]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.timeout(max(120, KILLS * 30))
def test_kill_under_load(tmp_path: Path) -> None:
    rng = Random(KILLS)
    writers = [Writer(number, Random(number)) for number in range(WRITERS)]
    data = tmp_path / "store"
    for _ in range(KILLS):
        with server_process(data) as (address, process):
            with connect(address, f"{ID}:{SECRET}") as store:
                store.create(BUCKET)
                for writer in writers:
                    writer.check(store)
            threads = run_writers(writers, address)
            before = sum(writer.writes for writer in writers)
            wanted = before + rng.randrange(1, 40)
            while (
                sum(writer.writes for writer in writers) < wanted
            ):  # a random moment of their work, not of time
                assert process.poll() is None
                time.sleep(rng.uniform(0, 0.01))
            process.kill()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive()
    with server_process(data) as (address, _), connect(address, f"{ID}:{SECRET}") as store:
        for writer in writers:
            writer.check(store)
        listed = {entry.key for entry in store.list(BUCKET)}
        assert listed == {
            key for writer in writers for key, seed in writer.acknowledged.items() if seed is not None
        }
    check_nothing_is_left(data, len(listed))


def check_nothing_is_left(data: Path, objects: int) -> None:
    """After the next start the folder holds as many files as there are objects."""
    Store(data).close()
    files = [path for path in (data / "blobs").rglob("*") if path.is_file()]
    assert len(files) == objects, sorted(files)


def test_two_front_ends_on_one_folder(tmp_path: Path) -> None:
    data = tmp_path / "store"
    key = f"{ID}:{SECRET}"
    with (
        server_process(data) as (first, process),
        server_process(data) as (second, _),
        connect(first, key) as one,
        connect(second, key) as other,
    ):
        one.create(BUCKET)
        one.put(BUCKET, "k", b"1")
        assert other.get(BUCKET, "k") == b"1"
        etag = other.put(BUCKET, "k", b"2")
        assert one.head(BUCKET, "k").etag == etag
        process.kill()
        process.wait()
        other.put(BUCKET, "k", b"3", if_match=etag)
        assert other.get(BUCKET, "k") == b"3"


def test_one_of_many_concurrent_writers_wins(tmp_path: Path) -> None:
    data = tmp_path / "store"
    key = f"{ID}:{SECRET}"
    with server_process(data, "--no-sync") as (first, _), server_process(data, "--no-sync") as (second, _):
        with connect(first, key) as store:
            store.create(BUCKET)
        outcomes: list[str] = []

        def create(address: str, body: bytes) -> None:
            with connect(address, key) as store:
                try:
                    store.put(BUCKET, "lock", body, if_absent=True)
                    outcomes.append("won")
                except StoreRefused as error:
                    outcomes.append(error.code)

        threads = [
            threading.Thread(target=create, args=((first, second)[number % 2], b"%d" % number))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(outcomes) == ["PreconditionFailed"] * 7 + ["won"]


def test_readers_see_one_whole_version(tmp_path: Path) -> None:
    key = f"{ID}:{SECRET}"
    stop = threading.Event()
    with server_process(tmp_path / "store", "--no-sync") as (address, _), connect(address, key) as store:
        store.create(BUCKET)
        store.put(BUCKET, "k", body_of(0))

        def overwrite() -> None:
            with connect(address, key) as writer:
                for seed in range(1, 10_000):
                    writer.put(BUCKET, "k", body_of(seed))
                    if stop.is_set():
                        return

        thread = threading.Thread(target=overwrite)
        thread.start()
        seen: set[int] = set()
        try:
            while len(seen) < 20:
                seen.add(seed_of(store.get(BUCKET, "k")))
        finally:
            stop.set()
            thread.join(60)
