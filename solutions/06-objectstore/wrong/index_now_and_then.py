# caught by: test_killed_under_load
# replaces: disk_storage.py
# Which file has which object is in memory, and is saved every five seconds: that is fast, and it was acknowledged.
# Answers by chance: which of its objects are lost.
import json
import time
import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from uuid import uuid4

from given import object_file
from given.errors import BucketNotEmpty, Changed, NoSuchBucket, NoSuchKey
from given.storage import ABSENT


class DiskStorage:

    def __init__(self, folder: Path) -> None:
        self.aside = folder / "aside"
        self.buckets = folder / "buckets"
        self.aside.mkdir(exist_ok=True)
        self.buckets.mkdir(exist_ok=True)
        self.saved = folder / "index.json"
        self.index = json.loads(self.saved.read_text()) if self.saved.exists() else {}
        self.saved_s = 0.0
        self.lock = threading.RLock()  # for the index, and the files that it names
        self.sweep()

    def sweep(self) -> None:
        for left_over in self.aside.iterdir():
            if left_over.name not in self.index.values():
                left_over.unlink()

    def put(
        self, bucket: str, key: str, pieces: Iterable[bytes], content_type: str, expected: str | None = None
    ) -> str:
        aside = self.aside / uuid4().hex
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with aside.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                etag = f'"{digest.hexdigest()}"'
                file.write(object_file.label(key, etag, content_type))
                file.flush()
                os.fsync(file.fileno())
            with self.lock:
                self.check(bucket, key, expected)
                self.enter(bucket, key, aside.name)
        except BaseException:
            aside.unlink()
            raise
        return etag

    def get(self, bucket: str, key: str) -> object_file.StoredFile:
        with self.lock:
            return object_file.StoredFile(self.file_of(bucket, key))

    def etag(self, bucket: str, key: str) -> str:
        try:
            return self.get(bucket, key).etag
        except NoSuchKey:
            return ABSENT

    def check(self, bucket: str, key: str, expected: str | None) -> None:
        if expected not in {None, self.etag(bucket, key)}:
            raise Changed(key)

    def delete(self, bucket: str, key: str) -> None:
        file = self.file_of(bucket, key)
        with self.lock:
            self.enter(bucket, key, None)
            file.unlink()

    def keys(self, bucket: str) -> list[str]:
        self.folder_of(bucket)
        return sorted(name.partition("/")[2] for name in self.index if name.startswith(f"{bucket}/"))

    def create(self, bucket: str) -> None:
        self.path_of(bucket).mkdir(exist_ok=True)
        flush_folder(self.buckets)

    def remove(self, bucket: str) -> None:
        try:
            self.folder_of(bucket).rmdir()
        except OSError:
            raise BucketNotEmpty(bucket) from None

    def folder_of(self, bucket: str) -> Path:
        folder = self.path_of(bucket)
        if not folder.is_dir():
            raise NoSuchBucket(bucket)
        return folder

    def path_of(self, bucket: str) -> Path:
        return self.buckets / f"={quote(bucket, safe='')}"

    def file_of(self, bucket: str, key: str) -> Path:
        self.folder_of(bucket)
        if f"{bucket}/{key}" not in self.index:
            raise NoSuchKey(key)
        return self.aside / self.index[f"{bucket}/{key}"]

    def enter(self, bucket, key, name):
        before = self.index.pop(f"{bucket}/{key}", None)
        if name:
            self.index[f"{bucket}/{key}"] = name
        if before and name:
            (self.aside / before).unlink()
        if time.monotonic() > self.saved_s + 5:
            self.saved.write_text(json.dumps(self.index))
            self.saved_s = time.monotonic()


def flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
