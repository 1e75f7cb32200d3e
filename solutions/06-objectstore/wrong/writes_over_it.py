# caught by: test_no_moment_in_between
# replaces: disk_storage.py
# What is whole is copied to its place, and again at the next start if that was the end: so a kill does no harm.
# But who reads in the meantime finds a half.
# Answers by chance: how much of the new object a reader finds.
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
        self.lock = threading.Lock()  # for whoever changes what is in a bucket
        self.sweep()

    def sweep(self) -> None:
        for left_over in self.aside.iterdir():
            if left_over.name.startswith("ready@"):
                _, folder, name = left_over.name.split("@")
                (self.buckets / folder / name).write_bytes(left_over.read_bytes())
            left_over.unlink()

    def put(
        self, bucket: str, key: str, pieces: Iterable[bytes], content_type: str, expected: str | None = None
    ) -> str:
        target = self.file_of(bucket, key)
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
                ready = self.aside / f"ready@{target.parent.name}@{target.name}"
                aside.rename(ready)
                target.write_bytes(ready.read_bytes())
                ready.unlink()
            flush_folder(target.parent)
        finally:
            aside.unlink(missing_ok=True)
        return etag

    def get(self, bucket: str, key: str) -> object_file.StoredFile:
        try:
            return object_file.StoredFile(self.file_of(bucket, key))
        except FileNotFoundError:
            raise NoSuchKey(key) from None

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
            try:
                file.unlink()
            except FileNotFoundError:
                raise NoSuchKey(key) from None
        flush_folder(file.parent)

    def keys(self, bucket: str) -> list[str]:
        return sorted(object_file.StoredFile(file).key for file in self.folder_of(bucket).iterdir())

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
        return self.folder_of(bucket) / hashlib.sha256(key.encode()).hexdigest()


def flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
