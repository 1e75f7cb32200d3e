"""The index: an SQLite database that says which versions there are, and which files hold their bytes.

What the index says is what there is. A file that no row names is rubbish, and a transaction of the index is
the instant at which a PUT happens: readers see the old version until then, the new one from then on.

Writers do not commit one by one. Whoever comes first commits for all who wait behind (group commit): one
``fsync`` of the log serves as many of them as have come while the one before ran. Each has a savepoint of
its own, so that one whose condition fails takes nobody along.

Several processes may have the same index open: SQLite's write-ahead log lets all read while one writes.

Source: group commit: J. Gray and A. Reuter, "Transaction Processing", 1993; https://sqlite.org/wal.html.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

from dslab.kit.disk import sync_folder
from dslab.kit.errors import MachineError

T = TypeVar("T")

BUSY_TIMEOUT_S = 60.0
MAX_REMEMBERED = 1_000
MAX_REMEMBERED_BYTES = 8 * 1024 * 1024
VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS buckets (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created_s REAL NOT NULL,
    region TEXT NOT NULL, versioning TEXT NOT NULL, acl TEXT NOT NULL, tags TEXT);

CREATE TABLE IF NOT EXISTS versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, bucket INTEGER NOT NULL, key TEXT NOT NULL,
    version_id TEXT NOT NULL, modified_s REAL NOT NULL, current INTEGER NOT NULL, marker INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, etag TEXT NOT NULL, blob TEXT, parts INTEGER NOT NULL, checksum TEXT,
    headers TEXT NOT NULL, tags TEXT NOT NULL, acl TEXT NOT NULL, upload_id TEXT);
CREATE INDEX IF NOT EXISTS versions_by_key ON versions (bucket, key, number DESC);
CREATE INDEX IF NOT EXISTS versions_listed ON versions (bucket, key) WHERE current AND NOT marker;
CREATE INDEX IF NOT EXISTS versions_by_blob ON versions (blob) WHERE blob IS NOT NULL;

CREATE TABLE IF NOT EXISTS segments (
    version INTEGER NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    checksum TEXT, PRIMARY KEY (version, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segments_by_blob ON segments (blob);

CREATE TABLE IF NOT EXISTS uploads (
    number INTEGER PRIMARY KEY AUTOINCREMENT, upload_id TEXT NOT NULL UNIQUE, bucket INTEGER NOT NULL,
    key TEXT NOT NULL, started_s REAL NOT NULL, headers TEXT NOT NULL, tags TEXT NOT NULL, acl TEXT NOT NULL,
    algorithm TEXT NOT NULL, composite INTEGER NOT NULL, declared INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS uploads_by_key ON uploads (bucket, key, number);

CREATE TABLE IF NOT EXISTS parts (
    upload INTEGER NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    etag TEXT NOT NULL, modified_s REAL NOT NULL, checksum TEXT, PRIMARY KEY (upload, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parts_by_blob ON parts (blob);

CREATE TABLE IF NOT EXISTS garbage (blob TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class _Waiting(Generic[T]):
    """A change that waits for its turn, and then for its commit."""

    def __init__(self, change: Callable[[sqlite3.Connection], T], folders: Iterable[str]) -> None:
        self.change = change
        self.folders = tuple(folders)
        self.done = False
        self.result: T | None = None
        self.error: Exception | None = None


class Memory(dict[Hashable, Any]):
    """Answers to questions, of the index as it is until the next commit of anybody. Full, it begins anew."""

    def __init__(self) -> None:
        super().__init__()
        self._size_bytes = 0

    def keep(self, question: Hashable, answer: object, size_bytes: int = 0) -> None:
        """Remember an answer: `size_bytes` is how long it is, if that may be much."""
        if size_bytes > MAX_REMEMBERED_BYTES:
            return
        if len(self) >= MAX_REMEMBERED or self._size_bytes + size_bytes > MAX_REMEMBERED_BYTES:
            self.clear()
            self._size_bytes = 0
        self[question] = answer
        self._size_bytes += size_bytes


class _Reader:
    """A thread's connection to read with, and what was read since the last commit of anybody."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.commits = -1
        self.memory = Memory()


class Index:
    """An open index.

    Args:
        path: The database; made if need be.
        sync: Whether a commit waits for the disk.

    Raises:
        MachineError: The file is no index of this version.

    Attributes:
        rubbish: Files that no row names any more, for whoever has time to remove them.
        gone: Files that were removed; the next transaction takes them off the list of garbage.
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        self.rubbish: deque[str] = deque()
        self.gone: deque[str] = deque()
        self._path = path
        self._sync = sync
        self._turn = threading.Lock()
        self._queue: deque[_Waiting[Any]] = deque()
        self._own = threading.local()
        self._readers: list[_Reader] = []
        try:
            self._writer = _connect(path, sync=sync)
            _prepare(self._writer, path)
        except sqlite3.DatabaseError as error:
            raise MachineError(f"{path} is no index of an object store: {error}.") from error

    @property
    def db(self) -> sqlite3.Connection:
        """A connection to read with: one per thread."""
        return self._reader().db

    def memory(self) -> Memory:
        """What this thread remembers of the index as it is now: nothing, if anybody has committed since.

        SQLite counts for each connection the commits of all others, in whichever process they are; and what
        reads here never writes. So this is never stale: it asks "is it still as it was?" every time, as
        HTTP's caches do with an ETag, and that takes a third of the time of asking anew.

        Whoever asks for it, then reads, and then keeps what was read is right, however long that takes: if
        there was a commit on the way, there is another memory by then, and nobody looks into this one.
        """
        reader = self._reader()
        (commits,) = reader.db.execute("PRAGMA data_version").fetchone()
        if commits != reader.commits:
            reader.commits, reader.memory = commits, Memory()
        return reader.memory

    def recall(self, question: Hashable, answer: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question from memory, if it was asked before and nobody has committed anything since."""
        memory = self.memory()
        if question in memory:
            return memory[question]  # type: ignore[no-any-return]
        found = answer(self.db)
        memory.keep(question, found)
        return found

    def write(self, change: Callable[[sqlite3.Connection], T], folders: Iterable[str] = ()) -> T:
        """Make a change; return when it is on the disk.

        Args:
            change: Is called inside a transaction. What it raises undoes what it did, and is raised here.
            folders: What was made in them is brought to the disk first.
        """
        waiting = _Waiting(change, folders)
        self._queue.append(waiting)
        with self._turn:
            if not waiting.done:
                self._commit_queue()
        if waiting.error is not None:
            raise waiting.error
        return waiting.result  # type: ignore[return-value]

    def close(self) -> None:
        """Close it. SQLite empties its log if nobody else has it open."""
        with self._turn:
            for db in (*(reader.db for reader in self._readers), self._writer):
                db.close()

    def _reader(self) -> _Reader:
        try:
            reader: _Reader = self._own.reader
        except AttributeError:
            reader = self._own.reader = _Reader(_connect(self._path, sync=self._sync))
            self._readers.append(reader)
        return reader

    def _commit_queue(self) -> None:
        batch = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            if self._sync:
                for folder in {folder for one in batch for folder in one.folders}:
                    sync_folder(folder)
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                forget(self._writer, [self.gone.popleft() for _ in range(len(self.gone))])
                for one in batch:
                    self._apply(one)
                rubbish = garbage(self._writer)
                self._writer.execute("COMMIT")
                self.rubbish.extend(rubbish)
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
        except Exception as error:  # noqa: BLE001  whatever it is, all whose change was in there must know
            for one in batch:
                one.error = error
        for one in batch:
            one.done = True

    def _apply(self, one: _Waiting[Any]) -> None:
        self._writer.execute("SAVEPOINT change")
        try:
            one.result = one.change(self._writer)
        except Exception as error:  # noqa: BLE001  it is raised again, to the one who wanted the change
            one.error = error
            self._writer.execute("ROLLBACK TO change")
        self._writer.execute("RELEASE change")


def next_number(db: sqlite3.Connection, table: str) -> int:
    """Which number the next row of a table gets; no row had it before."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return (row[0] if row else 0) + 1


def discard(db: sqlite3.Connection, blobs: Iterable[str | None]) -> None:
    """Note that no row names these files any more: after the commit they can go."""
    db.executemany("INSERT OR IGNORE INTO garbage VALUES (?)", [(blob,) for blob in blobs if blob])


def garbage(db: sqlite3.Connection) -> list[str]:
    """Give the files that can go."""
    return [blob for (blob,) in db.execute("SELECT blob FROM garbage")]


def forget(db: sqlite3.Connection, blobs: Iterable[str]) -> None:
    """Note that these files are gone."""
    db.executemany("DELETE FROM garbage WHERE blob = ?", [(blob,) for blob in blobs])


def is_named(db: sqlite3.Connection, blob: str) -> bool:
    """Does any row name this file?"""
    query = (
        "SELECT EXISTS (SELECT 1 FROM versions WHERE blob = :blob) OR EXISTS (SELECT 1 FROM segments"
        " WHERE blob = :blob) OR EXISTS (SELECT 1 FROM parts WHERE blob = :blob)"
    )
    return bool(db.execute(query, {"blob": blob}).fetchone()[0])


def _connect(path: Path, *, sync: bool) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'OFF'}")
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise MachineError(f"{path} was written by another version of the object store ({version}).")
    if version == 0:
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
