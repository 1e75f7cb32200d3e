"""Step 6.6. Storage on a disk: what was acknowledged survives the server, and nothing is ever half there.

=============================  ============================================================
FOLDER/buckets/=BUCKET/        a bucket
FOLDER/buckets/=BUCKET/HASH    an object in it, as `given.object_file` has it
FOLDER/aside/                  what is being written; nobody reads here
=============================  ============================================================

A key may be any text (``../../etc/passwd`` is one): it never becomes a path. HASH is its SHA-256.
"""

import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from given import object_file
from given.errors import BucketNotEmpty, Changed, NoSuchBucket, NoSuchKey
from given.storage import ABSENT


class DiskStorage:
    """A `given.storage.Storage` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.aside = folder / "aside"
        self.buckets = folder / "buckets"
        self.aside.mkdir(exist_ok=True)
        self.buckets.mkdir(exist_ok=True)
        self.lock = threading.Lock()  # for whoever changes what is in a bucket
        self.sweep()

    def sweep(self) -> None:
        """Remove what the server was writing when it was killed."""
        # TODO step 6.6: remove all that lies in self.aside
        raise NotImplementedError("lab 6, step 6.6")

    def put(
        self, bucket: str, key: str, pieces: Iterable[bytes], content_type: str, expected: str | None = None
    ) -> str:
        """Put an object under a key, and return its ETag: see `given.storage.Storage.put`.

        Until this returns, the old object is there, whole; from then on, the new one, whatever happens to the
        server. The pieces may come slowly, be many, or end in an exception; somebody else may be putting
        something under the same key.
        """
        # TODO step 6.6: write aside, piece by piece; flush to the disk; then replace in one step
        raise NotImplementedError("lab 6, step 6.6")

    def get(self, bucket: str, key: str) -> object_file.StoredFile:
        """Look up an object."""
        try:
            return object_file.StoredFile(self.file_of(bucket, key))
        except FileNotFoundError:
            raise NoSuchKey(key) from None

    def etag(self, bucket: str, key: str) -> str:
        """The ETag of what is there now, or ABSENT."""
        try:
            return self.get(bucket, key).etag
        except NoSuchKey:
            return ABSENT

    def check(self, bucket: str, key: str, expected: str | None) -> None:
        """Raise Changed unless what was expected is there. That holds for as long as you hold the lock."""
        if expected not in {None, self.etag(bucket, key)}:
            raise Changed(key)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        file = self.file_of(bucket, key)
        with self.lock:
            try:
                file.unlink()
            except FileNotFoundError:
                raise NoSuchKey(key) from None
        flush_folder(file.parent)

    def keys(self, bucket: str) -> list[str]:
        """All keys."""
        return sorted(object_file.StoredFile(file).key for file in self.folder_of(bucket).iterdir())

    def create(self, bucket: str) -> None:
        """Make a bucket."""
        self.path_of(bucket).mkdir(exist_ok=True)
        flush_folder(self.buckets)

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket."""
        try:
            self.folder_of(bucket).rmdir()
        except OSError:
            raise BucketNotEmpty(bucket) from None

    def folder_of(self, bucket: str) -> Path:
        """Where a bucket is."""
        folder = self.path_of(bucket)
        if not folder.is_dir():
            raise NoSuchBucket(bucket)
        return folder

    def path_of(self, bucket: str) -> Path:
        """Where a bucket would be: inside of the folder, whatever it is called."""
        return self.buckets / f"={quote(bucket, safe='')}"

    def file_of(self, bucket: str, key: str) -> Path:
        """Where an object is, or would be."""
        return self.folder_of(bucket) / hashlib.sha256(key.encode()).hexdigest()


def flush_folder(folder: Path) -> None:
    """Have a folder's names written to the disk: a file that has none there is lost when the power fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
