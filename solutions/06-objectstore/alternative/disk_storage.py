"""Step 6.6, with the index in SQLite, and the contents in files that are never changed.

An object is there from the moment at which the transaction that says so is committed.
"""

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile

from given.errors import BucketNotEmpty, Changed, NoSuchBucket, NoSuchKey

SCHEMA = """
create table if not exists buckets (name text primary key);
create table if not exists objects (bucket text, key text, etag text, kind text, size int, file text,
                                    primary key (bucket, key));
"""


class Found:
    """One version of an object."""

    def __init__(self, etag: str, content_type: str, size: int, file: Path) -> None:
        self.etag, self.content_type, self.size = etag, content_type, size
        self._file = file.open("rb")

    def pieces(self, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """A part of it."""
        self._file.seek(start)
        left = self.size - start if size is None else size
        while left:
            piece = self._file.read(min(left, 100_000))
            left -= len(piece)
            yield piece


class DiskStorage:
    """Storage in a folder."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir(exist_ok=True)
        self.lock = threading.RLock()
        self.index = sqlite3.connect(folder / "index.sqlite", check_same_thread=False, isolation_level=None)
        self.index.executescript(SCHEMA)
        known = {name for (name,) in self.index.execute("select file from objects")}
        for file in self.files.iterdir():
            if file.name not in known:
                file.unlink()

    def rows(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        """Run one statement: one transaction."""
        with self.lock:
            return self.index.execute(statement, values).fetchall()

    def check(self, bucket: str) -> None:
        """There is such a bucket."""
        if not self.rows("select 1 from buckets where name = ?", bucket):
            raise NoSuchBucket(bucket)

    def create(self, bucket: str) -> None:
        """Make a bucket."""
        self.rows("insert or ignore into buckets values (?)", bucket)

    def remove(self, bucket: str) -> None:
        """Remove a bucket."""
        with self.lock:
            if self.keys(bucket):
                raise BucketNotEmpty(bucket)
            self.rows("delete from buckets where name = ?", bucket)

    def keys(self, bucket: str) -> list[str]:
        """All keys."""
        self.check(bucket)
        return sorted(key for (key,) in self.rows("select key from objects where bucket = ?", bucket))

    def row(self, bucket: str, key: str) -> tuple[str, ...] | None:
        """What is known of an object."""
        self.check(bucket)
        found = self.rows(
            "select etag, kind, size, file from objects where bucket = ? and key = ?", bucket, key
        )
        return found[0] if found else None

    def row_if(self, bucket: str, key: str, expected: str | None) -> tuple[str, ...] | None:
        """The same, if it has that ETag."""
        found = self.row(bucket, key)
        if expected not in {None, found[0] if found else ""}:
            raise Changed(key)
        return found

    def etag(self, bucket: str, key: str) -> str:
        """Its ETag, or the empty one."""
        found = self.row(bucket, key)
        return found[0] if found else ""

    def get(self, bucket: str, key: str) -> Found:
        """Look up an object."""
        with self.lock:
            found = self.row(bucket, key)
            if not found:
                raise NoSuchKey(key)
            etag, kind, size, file = found
            return Found(etag, kind, int(size), self.files / file)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        with self.lock:
            found = self.row(bucket, key)
            if not found:
                raise NoSuchKey(key)
            self.rows("delete from objects where bucket = ? and key = ?", bucket, key)
            (self.files / found[3]).unlink()

    def put(
        self, bucket: str, key: str, pieces: Iterable[bytes], kind: str, expected: str | None = None
    ) -> str:
        """Put an object."""
        self.check(bucket)
        digest, size = hashlib.md5(usedforsecurity=False), 0
        with NamedTemporaryFile(dir=self.files, delete=False) as file:
            name = Path(file.name)
            try:
                for piece in pieces:
                    digest.update(piece)
                    size += file.write(piece)
                file.flush()
                os.fsync(file.fileno())
                etag = f'"{digest.hexdigest()}"'
                with self.lock:
                    before = self.row_if(bucket, key, expected)
                    self.rows(
                        "replace into objects values (?, ?, ?, ?, ?, ?)",
                        *(bucket, key, etag, kind, size, name.name),
                    )
            except BaseException:
                name.unlink()
                raise
        if before:
            with contextlib.suppress(FileNotFoundError):
                (self.files / before[3]).unlink()
        return etag
