"""Multipart uploads of a store: a large object comes in parts, in any order, again if need be, or never.

Source: Amazon S3 User Guide, Uploading and copying objects using multipart upload.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from dslab.objectstore import buckets, listing, uploads, versions
from dslab.objectstore.blobs import Draft
from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import Checksum, Content, Page, Part, Upload, Version
from dslab.objectstore.protocol import Conditions, multipart_etag
from dslab.objectstore.store import ANY, Store, new_id


class Multipart:
    """The uploads in progress of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, bucket: str, upload: Upload) -> Upload:
        """Begin an upload. Its id and time are filled in here.

        Raises:
            S3Error: NoSuchBucket.
        """
        begun = replace(upload, upload_id=new_id(), started_s=self._store.clock())
        return self._store.write(lambda db: uploads.begin(db, buckets.get(db, bucket), begun))

    def find(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Find an upload.

        Raises:
            S3Error: NoSuchBucket, NoSuchUpload.
        """
        return uploads.find(self._store.index.db, self._store.bucket(bucket), key, upload_id)

    def put_part(  # noqa: PLR0917
        self, bucket: str, key: str, upload_id: str, number: int, draft: Draft, content: Content
    ) -> Part:
        """Take a part, in place of one with the same number.

        Raises:
            S3Error: NoSuchBucket, NoSuchUpload.
        """
        part = Part(
            number, draft.blob, content.size_bytes, content.etag, self._store.clock(), content.checksum
        )

        def change(db: sqlite3.Connection) -> None:
            uploads.put_part(db, buckets.get(db, bucket), key, upload_id, part)

        self._store.write(change, [draft])
        return part

    def parts(self, bucket: str, key: str, upload_id: str, after: int = 0, most: int = -1) -> list[Part]:
        """Give the parts that have come.

        Raises:
            S3Error: NoSuchBucket, NoSuchUpload.
        """
        return uploads.parts(self._store.index.db, self._store.bucket(bucket), key, upload_id, after, most)

    def complete(  # noqa: PLR0917
        self,
        bucket: str,
        key: str,
        upload_id: str,
        wanted: Sequence[tuple[int, str, Checksum | None]],
        conditions: Conditions = ANY,
        expected: Checksum | None = None,
        kind: str = "",
        size_bytes: int | None = None,
    ) -> Version:
        """Make an object of the parts. Asked again, the answer is the same: nothing is done twice.

        So conditions are for the first time only: afterwards the object is there, and must not fail its own
        ``If-None-Match: *``.

        Args:
            bucket: Where.
            key: Its key.
            upload_id: The upload.
            wanted: Number, ETag and checksum of each part.
            conditions: What must hold of what is there under that key.
            expected: What the client holds for the object's checksum.
            kind: ... and for that checksum's type.
            size_bytes: ... and for its size.

        Raises:
            S3Error: NoSuchBucket, NoSuchUpload, BadDigest, InvalidRequest; as `uploads.assemble` or
                `Conditions.check_write`.
        """

        def change(db: sqlite3.Connection) -> Version:
            where = buckets.get(db, bucket)
            done = versions.completed(db, where, key, upload_id)
            if done is not None and done.content.etag == multipart_etag(etag for _, etag, _ in wanted):
                return done
            upload = uploads.find(db, where, key, upload_id)
            content = uploads.assemble(upload, uploads.parts(db, where, key, upload_id), wanted)
            # Of another upload S3 ignores them, as versitygw's integration tests have it:
            # CompleteMultipartUpload_should_ignore_the_final_checksum.
            if upload.declared:
                _check(content.checksum, expected, kind)
            _check_size(content.size_bytes, size_bytes)
            if conditions != ANY:
                conditions.check_write(versions.newest(db, where, key))
            uploads.end(db, where, key, upload_id, content.segments)
            return versions.put(
                db, where, key, content, upload.meta, self._store.clock(), new_id(), upload_id
            )

        return self._store.write(change)

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Forget an upload and its parts.

        Raises:
            S3Error: NoSuchBucket, NoSuchUpload.
        """
        self._store.write(lambda db: uploads.end(db, buckets.get(db, bucket), key, upload_id))

    def in_progress(self, bucket: str, wanted: listing.Wanted) -> Page:
        """List the uploads of a bucket.

        Raises:
            S3Error: NoSuchBucket.
        """
        return listing.in_progress(self._store.index.db, self._store.bucket(bucket), wanted)


def _check(have: Checksum | None, expected: Checksum | None, kind: str) -> None:
    """Hold an object's checksum against what its client says of it; of the ``-N``, which may be missing, too.

    Source: Amazon S3 API Reference, CompleteMultipartUpload (x-amz-checksum-type).
    """
    if kind and have is not None and kind != have.kind:
        raise S3Error(
            "BadDigest",
            f"The upload was created using the {have.kind} checksum mode. "
            "The complete request must use the same checksum mode.",
        )
    if expected is None:
        return
    if have is None or have.algorithm != expected.algorithm:
        raise S3Error("InvalidRequest", f"The upload has no {expected.algorithm.lower()} checksum.")
    if expected.value not in (have.value, have.value.partition("-")[0]):
        raise S3Error(
            "BadDigest", f"The {expected.algorithm} you specified did not match the calculated checksum."
        )


def _check_size(have: int, expected: int | None) -> None:
    if expected not in (None, have):
        header = f"The provided 'x-amz-mp-object-size' header value {expected}"
        raise S3Error("InvalidRequest", f"{header} does not match what was computed: {have}")
