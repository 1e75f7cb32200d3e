"""Where objects are kept: the interface `Storage`, and `MemoryStorage` behind it.

Storage knows nothing of HTTP. A server on top of it knows nothing of where the objects are: in memory, on
another machine (`given.remote`), on a disk (yours, step 6.6).

An object is never changed, only replaced. Its ETag names its content: another content, another ETag. The
double quotes are part of an ETag, here as on the wire.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from given.errors import BucketNotEmpty, Changed, NoSuchBucket, NoSuchKey

ABSENT = ""
"""The ETag of what is not there."""

PIECE_BYTES = 65_536


class Stored(Protocol):
    """One version of an object. It stays as it is, whatever is put under its key meanwhile."""

    etag: str
    size: int
    content_type: str

    def pieces(self, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """That part of the content, piece by piece; all of it from `start` on, if no size is given."""


class Storage(Protocol):
    """Buckets of objects. Any number of threads may call these at the same time."""

    def create(self, bucket: str) -> None:
        """Make a bucket. Nothing happens if it is there already."""

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket. Raises NoSuchBucket, BucketNotEmpty."""

    def keys(self, bucket: str) -> list[str]:
        """All of its keys, sorted. Raises NoSuchBucket."""

    def get(self, bucket: str, key: str) -> Stored:
        """Look up an object. Raises NoSuchBucket, NoSuchKey."""

    def etag(self, bucket: str, key: str) -> str:
        """The ETag of what is under a key now, or ABSENT. Raises NoSuchBucket."""

    def put(
        self, bucket: str, key: str, pieces: Iterable[bytes], content_type: str, expected: str | None = None
    ) -> str:
        """Put an object under a key, and return its ETag.

        Args:
            bucket: Where.
            key: Under what.
            pieces: The content. All of it is read before anything is replaced.
            content_type: What it is.
            expected: Only if this is the ETag of what is there at the moment of replacing: one test-and-set.
                ABSENT: only if nothing is there. None: whatever is there.

        Raises:
            NoSuchBucket: There is none.
            Changed: Something else is there than expected.
        """

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object. Raises NoSuchBucket, NoSuchKey."""


@dataclass(frozen=True)
class Content:
    """An object in memory."""

    etag: str
    size: int
    content_type: str
    data: bytes

    def pieces(self, start: int = 0, size: int | None = None) -> Iterator[bytes]:
        """That part of it."""
        end = self.size if size is None else start + size
        for at in range(start, end, PIECE_BYTES):
            yield self.data[at : min(at + PIECE_BYTES, end)]


class MemoryStorage:
    """Storage that lasts as long as its process."""

    def __init__(self) -> None:
        self._buckets: dict[str, dict[str, Content]] = {}
        self._lock = threading.Lock()

    def create(self, bucket: str) -> None:
        """Make a bucket."""
        with self._lock:
            self._buckets.setdefault(bucket, {})

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket."""
        with self._lock:
            if self._objects(bucket):
                raise BucketNotEmpty(bucket)
            del self._buckets[bucket]

    def keys(self, bucket: str) -> list[str]:
        """All keys."""
        with self._lock:
            return sorted(self._objects(bucket))

    def get(self, bucket: str, key: str) -> Content:
        """Look up an object."""
        with self._lock:
            objects = self._objects(bucket)
            if key not in objects:
                raise NoSuchKey(key)
            return objects[key]

    def etag(self, bucket: str, key: str) -> str:
        """The ETag of what is there now, or ABSENT."""
        with self._lock:
            return self._etag(bucket, key)

    def put(
        self, bucket: str, key: str, pieces: Iterable[bytes], content_type: str, expected: str | None = None
    ) -> str:
        """Put an object under a key."""
        self._objects(bucket)
        data = b"".join(pieces)  # not under the lock: a slow client keeps nobody waiting
        new = Content(etag_of(data), len(data), content_type, data)
        with self._lock:
            if expected not in {None, self._etag(bucket, key)}:
                raise Changed(key)
            self._objects(bucket)[key] = new
        return new.etag

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        with self._lock:
            if self._objects(bucket).pop(key, None) is None:
                raise NoSuchKey(key)

    def _etag(self, bucket: str, key: str) -> str:
        found = self._objects(bucket).get(key)
        return found.etag if found else ABSENT

    def _objects(self, bucket: str) -> dict[str, Content]:
        if bucket not in self._buckets:
            raise NoSuchBucket(bucket)
        return self._buckets[bucket]


def etag_of(data: bytes) -> str:
    """The ETag of that content: its MD5, as S3 has it for an object that was put in one request."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
