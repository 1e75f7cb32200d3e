"""The store: buckets and objects on a disk. It knows nothing of HTTP, and blocks.

A PUT happens in this order, and every crash leaves it before or after the last line::

    write the bytes aside        blobs      a file that nobody looks at
    fsync, rename                blobs      a whole file that no row names
    fsync the folder, commit     index      from here on it exists: only now the client is told
    remove the old file          blobs      if the crash comes first, the next start does it

Several stores, in several processes, may have one folder: what they share is the index, and nothing that
it says is used from memory without asking it whether that still holds (ch. 3, stateless servers). Two that
write the same key at once: the one that commits last wins.

Source: ch. 2, Service-oriented architectures (Amazon S3); ch. 3, Servers.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import TypeVar

from dslab.objectstore import buckets, checksums, listing, versions
from dslab.objectstore.blobs import Blobs, Draft
from dslab.objectstore.contents import Contents
from dslab.objectstore.errors import S3Error
from dslab.objectstore.index import Index, garbage, is_named
from dslab.objectstore.messages import Bucket, Content, Meta, Page, Segment, Version, Versioning
from dslab.objectstore.protocol import Conditions, check_bucket_name, check_key

T = TypeVar("T")

_UPLOAD_ID = re.compile("[0-9a-f]{32}")

ANY = Conditions()


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of a DELETE.

    Attributes:
        version_id: What was removed, or the delete marker that was made; empty where there are no versions.
        marker: Whether that is a delete marker.
    """

    version_id: str = ""
    marker: bool = False


class Store:
    """A folder of buckets. Opening it removes what a crash left behind.

    Args:
        folder: Made if need be.
        sync: Whether what is acknowledged is on the disk. Without, it outlives the process, not the machine.
        clock: The time, in seconds since 1970.
    """

    def __init__(self, folder: Path, *, sync: bool = True, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        self.index = Index(folder / "index.db", sync=sync)
        self.blobs = Blobs(folder, sync=sync)
        self.swept = self.blobs.sweep(lambda blob: is_named(self.index.db, blob))
        self.index.rubbish.extend(garbage(self.index.db))
        self._remove_rubbish()

    def close(self) -> None:
        """Close the index."""
        self.index.close()
        self.blobs.close()

    def write(self, change: Callable[[sqlite3.Connection], T], drafts: Iterable[Draft] = ()) -> T:
        """Keep the drafts, make a change of the index that names them, and remove what it no longer names.

        If the change fails, the drafts are removed.
        """
        drafts = list(drafts)
        try:
            for draft in drafts:
                draft.keep()
            result = self.index.write(change, [draft.folder for draft in drafts])
        except BaseException:
            for draft in drafts:
                draft.discard()
            raise
        self._remove_rubbish()
        return result

    def _remove_rubbish(self) -> None:
        with suppress(IndexError):  # there is no more
            while True:
                blob = self.index.rubbish.popleft()
                self.blobs.remove(blob)
                self.index.gone.append(blob)

    # ---- buckets

    def create_bucket(
        self, name: str, region: str = "", acl: str = "private", tags: Mapping[str, str] | None = None
    ) -> Bucket:
        """Make a bucket; in the default region one that is there is left as it is, but for its ACL.

        Raises:
            S3Error: InvalidBucketName; as `buckets.create`.
        """
        check_bucket_name(name)
        return self.write(lambda db: buckets.create(db, name, self.clock(), region, acl, tags))

    def bucket(self, name: str) -> Bucket:
        """Find a bucket.

        Raises:
            S3Error: NoSuchBucket.
        """
        return self.index.recall(name, lambda db: buckets.get(db, name))

    def buckets(self, prefix: str = "", after: str = "", most: int = buckets.MAX_BUCKETS) -> list[Bucket]:
        """Give the buckets, by name."""
        return buckets.every(self.index.db, prefix, after, most)

    def delete_bucket(self, name: str) -> None:
        """Remove an empty bucket.

        Raises:
            S3Error: NoSuchBucket, BucketNotEmpty.
        """
        self.write(lambda db: buckets.delete(db, name))

    def set_versioning(self, name: str, state: Versioning) -> None:
        """Say whether a bucket keeps what is overwritten."""
        self.write(lambda db: buckets.set_versioning(db, name, state))

    def set_bucket_acl(self, name: str, acl: str) -> None:
        """Give a bucket a canned ACL."""
        self.write(lambda db: buckets.set_acl(db, name, acl))

    def set_bucket_tags(self, name: str, tags: Mapping[str, str] | None) -> None:
        """Give a bucket tags, or take them away."""
        self.write(lambda db: buckets.set_tags(db, name, tags))

    # ---- objects

    def draft(self) -> Draft:
        """Begin to write an object's bytes."""
        return self.blobs.begin()

    def put(  # noqa: PLR0917
        self, bucket: str, key: str, draft: Draft, content: Content, meta: Meta, conditions: Conditions = ANY
    ) -> Version:
        """Make an object of what was written.

        The content's `blob` is filled in here.

        Raises:
            S3Error: NoSuchBucket, or as `Conditions.check_write`.
        """
        whole = replace(content, blob=draft.blob)
        return self.write(lambda db: self._put(db, bucket, key, whole, meta, conditions), [draft])

    def find(self, bucket: str, key: str, version_id: str | None = None) -> Version:
        """Find an object, or a version of it.

        Raises:
            S3Error: As `look` and `present`.
        """
        _, found = self.look(bucket, key, version_id)
        return present(found, key, version_id)

    def look(self, bucket: str, key: str, version_id: str | None = None) -> tuple[Bucket, Version | None]:
        """Find a bucket, and what is there under a key; it may be a delete marker.

        Raises:
            S3Error: NoSuchBucket.
        """

        def answer(db: sqlite3.Connection) -> tuple[Bucket, Version | None]:
            where = buckets.get(db, bucket)
            if version_id is None:
                return where, versions.newest(db, where, key)
            return where, versions.by_id(db, where, key, version_id)

        return self.index.recall((bucket, key, version_id), answer)

    def open(self, version: Version, start: int, end: int) -> Contents:
        """Open a range of an object's bytes. They can be read to the end, whatever is written meanwhile.

        Raises:
            FileNotFoundError: The version was removed in this very instant.
        """
        return Contents(self._files(version), start, end)

    def segments(self, version: Version) -> tuple[Segment, ...]:
        """Give the files that an object consists of."""
        content = version.content
        if content.blob is not None:
            return (Segment(1, content.blob, content.size_bytes, content.checksum),)
        return versions.segments(self.index.db, version.number)

    def parts(self, version: Version) -> tuple[Segment, ...]:
        """Give the parts that an object was uploaded in; of one that was put or copied in one piece, one.

        Raises:
            FileNotFoundError: The version was removed in this very instant.
        """
        content = version.content
        if content.parts:
            return self._all_segments(version)
        return (Segment(1, "", content.size_bytes, content.checksum),)

    def copy(  # noqa: PLR0917
        self,
        source: Version,
        bucket: str,
        key: str,
        meta: Meta,
        conditions: Conditions = ANY,
        algorithm: str = "",
    ) -> Version:
        """Make another object of the same bytes. They are not copied: the files get another name.

        `algorithm` is that of the copy's checksum; empty for the source's.

        Raises:
            FileNotFoundError: The source was removed in this very instant.
            S3Error: NoSuchBucket, or as `Conditions.check_write`.
        """
        drafts: list[Draft] = []
        try:
            segments = self._all_segments(source)
            for segment in segments:
                drafts.append(self.blobs.link(segment.blob))
            content = self._content_of_copy(source, algorithm)
        except BaseException:
            for draft in drafts:
                draft.discard()
            raise
        if content.blob is not None:
            content = replace(content, blob=drafts[0].blob)
        else:
            renamed = (replace(one, blob=draft.blob) for one, draft in zip(segments, drafts, strict=True))
            content = replace(content, segments=tuple(renamed))
        return self.write(lambda db: self._put(db, bucket, key, content, meta, conditions), drafts)

    def delete(
        self, bucket: str, key: str, version_id: str | None = None, conditions: Conditions = ANY
    ) -> Deleted:
        """Delete an object, or one version of it for good. What is not there is as good as deleted.

        Raises:
            S3Error: NoSuchBucket, or as `Conditions.check_delete`.
        """
        return self.write(lambda db: self._delete(db, bucket, key, version_id, conditions))

    def delete_many(
        self, bucket: str, wanted: Iterable[tuple[str, str | None, Conditions]]
    ) -> list[Deleted | S3Error]:
        """Delete many objects with one commit: gives what became of each.

        Args:
            bucket: Where.
            wanted: Key, version id (None for the current one) and conditions of each.
        """

        def change(db: sqlite3.Connection) -> list[Deleted | S3Error]:
            outcomes: list[Deleted | S3Error] = []
            for key, version_id, conditions in wanted:
                try:
                    check_key(key)
                    check_version_id(version_id)
                    outcomes.append(self._delete(db, bucket, key, version_id, conditions))
                except S3Error as error:  # nothing was changed: it is raised before
                    outcomes.append(error)
            return outcomes

        return self.write(change)

    def _delete(
        self, db: sqlite3.Connection, bucket: str, key: str, version_id: str | None, conditions: Conditions
    ) -> Deleted:
        where = buckets.get(db, bucket)
        if version_id is not None:
            gone = versions.by_id(db, where, key, version_id)
            conditions.check_delete(gone)
            versions.remove(db, where, gone)
            return Deleted(version_id, bool(gone and gone.marker))
        conditions.check_delete(versions.newest(db, where, key))
        marker = versions.mark_deleted(db, where, key, self.clock(), new_id())
        return Deleted(marker.version_id, True) if marker else Deleted()

    def keys(self, bucket: str, wanted: listing.Wanted) -> Page:
        """List the objects of a bucket."""
        return listing.keys(self.index.db, self.bucket(bucket), wanted)

    def history(self, bucket: str, wanted: listing.Wanted) -> Page:
        """List the versions and delete markers of a bucket."""
        return listing.history(self.index.db, self.bucket(bucket), wanted)

    def set_tags(self, version: Version, tags: Mapping[str, str]) -> None:
        """Give a version tags."""
        self.write(lambda db: versions.set_tags(db, version.number, tags))

    def set_acl(self, version: Version, acl: str) -> None:
        """Give a version a canned ACL."""
        self.write(lambda db: versions.set_acl(db, version.number, acl))

    def _put(  # noqa: PLR0917
        self,
        db: sqlite3.Connection,
        bucket: str,
        key: str,
        content: Content,
        meta: Meta,
        conditions: Conditions,
    ) -> Version:
        where = buckets.get(db, bucket)
        if conditions is not ANY:
            conditions.check_write(versions.newest(db, where, key))
        return versions.put(db, where, key, content, meta, self.clock(), new_id())

    def _files(self, version: Version) -> list[tuple[str, int]]:
        return [
            (self.blobs.path(segment.blob), segment.size_bytes) for segment in self._all_segments(version)
        ]

    def _all_segments(self, version: Version) -> tuple[Segment, ...]:
        """Give the files of an object.

        Raises:
            FileNotFoundError: It was removed, and so were the rows that name them.
        """
        segments = self.segments(version)
        if sum(segment.size_bytes for segment in segments) != version.content.size_bytes:
            raise FileNotFoundError
        return segments

    def _content_of_copy(self, source: Version, algorithm: str) -> Content:
        """What a copy tells of its bytes. It is of one piece, however its source was uploaded.

        Then its ETag is another, and its checksum that of the whole: for these the bytes are read.

        Raises:
            FileNotFoundError: The source was removed.
        """
        content = source.content
        have = content.checksum
        wanted = algorithm or (have.algorithm if have else checksums.DEFAULT)
        if not content.parts and have and have.algorithm == wanted:
            return content
        contents = self.open(source, 0, content.size_bytes)
        md5, total = hashlib.md5(usedforsecurity=False), checksums.summer(wanted)
        for piece in contents:
            md5.update(piece)
            total.update(piece)
        return replace(content, etag=md5.hexdigest(), checksum=checksums.encoded(wanted, total), parts=0)


def new_id() -> str:
    """Make up a version id or an upload id: nobody can guess it, whatever it is made to begin with."""
    return secrets.token_hex(16)


def is_upload_id(text: str) -> bool:
    """Can that be the id of an upload, be it one that is no more?"""
    return _UPLOAD_ID.fullmatch(text) is not None


def is_version_id(text: str) -> bool:
    """Can that be the id of a version?"""
    return text == "null" or (len(text) == 32 and text.isalnum())


def check_version_id(text: str | None) -> None:
    """Hold one id of many against what ids are like; of no id there is nothing to say.

    Raises:
        S3Error: NoSuchVersion.
    """
    if text is not None and not is_version_id(text):
        raise S3Error("NoSuchVersion")


def present(found: Version | None, key: str, version_id: str | None) -> Version:
    """Hold what was found under a key against what was asked for.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion; MethodNotAllowed, the version is a delete marker.
    """
    if found is None:
        if version_id is None:
            raise S3Error("NoSuchKey", Key=key)
        raise S3Error("NoSuchVersion", Key=key, VersionId=version_id)
    if found.marker:
        raise _is_deleted(found, key, named=version_id is not None)
    return found


def _is_deleted(marker: Version, key: str, *, named: bool) -> S3Error:
    headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version_id}
    if named:
        headers["allow"] = "DELETE"
        headers["last-modified"] = formatdate(int(marker.modified_s), usegmt=True)
        return S3Error("MethodNotAllowed", headers=headers, ResourceType="DeleteMarker")
    return S3Error("NoSuchKey", headers=headers, Key=key)
