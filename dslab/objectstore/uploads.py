"""Multipart uploads in the index: begin, put parts, complete, abort.

Parts are files; an object that is made of them goes on consisting of these files. So completing an upload
moves no byte, however large it is: it is one transaction of the index.

Functions of a connection. Those that change something are called inside `index.Index.write`.

Source: Amazon S3 User Guide, Uploading and copying objects using multipart upload.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from dslab.objectstore import checksums
from dslab.objectstore.errors import S3Error
from dslab.objectstore.index import discard, next_number
from dslab.objectstore.messages import (
    MAX_OBJECT_BYTES,
    MIN_PART_BYTES,
    Bucket,
    Checksum,
    Content,
    Meta,
    Part,
    Segment,
    Upload,
    numbered,
)
from dslab.objectstore.protocol import multipart_etag
from dslab.objectstore.versions import checksum_of, checksum_text, from_json, to_json

COLUMNS = "number, upload_id, key, started_s, headers, tags, acl, algorithm, composite, declared"
_PART = "number, blob, size_bytes, etag, modified_s, checksum"


def begin(db: sqlite3.Connection, bucket: Bucket, wanted: Upload) -> Upload:
    """Begin an upload. Its number, and the id's beginning, are filled in here."""
    number = next_number(db, "uploads")
    upload = replace(wanted, upload_id=numbered(wanted.upload_id, number), number=number)
    row = {
        "number": number,
        "upload_id": upload.upload_id,
        "bucket": bucket.number,
        "key": upload.key,
        "started_s": upload.started_s,
        "headers": to_json(upload.meta.headers),
        "tags": to_json(upload.meta.tags),
        "acl": upload.meta.acl,
        "algorithm": upload.algorithm,
        "composite": upload.composite,
        "declared": upload.declared,
    }
    db.execute(
        f"INSERT INTO uploads ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
    )
    return upload


def find(db: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str) -> Upload:
    """Find an upload in progress.

    Raises:
        S3Error: NoSuchUpload.
    """
    return upload(_row(db, bucket, key, upload_id))


def put_part(db: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str, part: Part) -> None:
    """Take a part, in place of one with the same number.

    Raises:
        S3Error: NoSuchUpload.
    """
    number = _row(db, bucket, key, upload_id)[0]
    old = db.execute(
        "SELECT blob FROM parts WHERE upload = ? AND number = ?", (number, part.number)
    ).fetchone()
    discard(db, old or ())
    row = (
        number,
        part.number,
        part.blob,
        part.size_bytes,
        part.etag,
        part.modified_s,
        checksum_text(part.checksum),
    )
    db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def parts(  # noqa: PLR0917
    db: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str, after: int = 0, most: int = -1
) -> list[Part]:
    """Give the parts that have come.

    Raises:
        S3Error: NoSuchUpload.
    """
    number = _row(db, bucket, key, upload_id)[0]
    query = f"SELECT {_PART} FROM parts WHERE upload = ? AND number > ? ORDER BY number LIMIT ?"
    return [_part(row) for row in db.execute(query, (number, after, most))]


def end(
    db: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str, keep: Sequence[Segment] = ()
) -> None:
    """End an upload: forget it and its parts but for what an object is made of.

    Raises:
        S3Error: NoSuchUpload.
    """
    number = _row(db, bucket, key, upload_id)[0]
    kept = {segment.blob for segment in keep}
    blobs = [blob for (blob,) in db.execute("SELECT blob FROM parts WHERE upload = ?", (number,)).fetchall()]
    discard(db, (blob for blob in blobs if blob not in kept))
    db.execute("DELETE FROM parts WHERE upload = ?", (number,))
    db.execute("DELETE FROM uploads WHERE number = ?", (number,))


# ---- what an upload amounts to


def assemble(
    upload: Upload, have: Sequence[Part], wanted: Sequence[tuple[int, str, Checksum | None]]
) -> Content:
    """Make an object's content of the parts that a client names.

    Args:
        upload: How it was begun.
        have: The parts that have come.
        wanted: Number, ETag and checksum of each part of the object.

    Raises:
        S3Error: MalformedXML, none is wanted; InvalidPartOrder; InvalidPart, there is no such part;
            BadDigest, a checksum is of another algorithm than the upload's; EntityTooSmall, a part that is
            not the last has less than 5 MiB; EntityTooLarge.
    """
    _check_order([number for number, _, _ in wanted], composite=upload.composite)
    there = {part.number: part for part in have}
    chosen = [_chosen(upload, there.get(number), number, etag, checksum) for number, etag, checksum in wanted]
    for part in chosen[:-1]:
        if part.size_bytes < MIN_PART_BYTES:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=str(part.size_bytes),
                MinSizeAllowed=str(MIN_PART_BYTES),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    size = sum(part.size_bytes for part in chosen)
    if size > MAX_OBJECT_BYTES:
        raise S3Error("EntityTooLarge")
    sums = [(part.checksum, part.size_bytes) for part in chosen if part.checksum]
    return Content(
        size,
        multipart_etag(part.etag for part in chosen),
        checksums.combined(upload.algorithm, upload.composite, sums),
        parts=len(chosen),
        segments=tuple(Segment(part.number, part.blob, part.size_bytes, part.checksum) for part in chosen),
    )


def _check_order(numbers: list[int], *, composite: bool) -> None:
    if not numbers:
        raise S3Error("MalformedXML")
    if any(number >= following for number, following in pairwise(numbers)):
        raise S3Error("InvalidPartOrder")
    if composite and numbers != list(range(1, len(numbers) + 1)):
        raise S3Error("InvalidPartOrder", "With checksums of parts, their numbers must be 1, 2, 3 and so on.")


def _chosen(upload: Upload, part: Part | None, number: int, etag: str, checksum: Checksum | None) -> Part:
    if part is None or part.etag != etag:
        raise S3Error("InvalidPart", UploadId=upload.upload_id, PartNumber=str(number), ETag=etag)
    if checksum is None:
        if upload.declared and upload.composite:
            name = upload.algorithm.lower()
            raise S3Error(
                "InvalidRequest",
                f"The upload was created using a {name} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {number} in the request.",
            )
    elif upload.declared and checksum.algorithm != upload.algorithm:
        name = checksum.algorithm.lower()
        message = f"The {name} you specified for part {number} did not match what we received."
        raise S3Error("BadDigest", message)
    elif checksum != part.checksum:
        raise S3Error("InvalidPart", UploadId=upload.upload_id, PartNumber=str(number), ETag=etag)
    return part


# ---- rows


def upload(row: tuple[Any, ...]) -> Upload:
    """Read a row."""
    number, upload_id, key, started_s, headers, tags, acl, algorithm, composite, declared = row
    meta = Meta(from_json(headers), from_json(tags), acl)
    return Upload(upload_id, key, started_s, meta, algorithm, bool(composite), bool(declared), number)


def _row(db: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = db.execute(
        f"SELECT {COLUMNS} FROM uploads WHERE upload_id = ? AND bucket = ? AND key = ?",
        (upload_id, bucket.number, key),
    ).fetchone()
    if row is None:
        raise S3Error("NoSuchUpload", UploadId=upload_id)
    return row


def _part(row: tuple[Any, ...]) -> Part:
    number, blob, size, etag, modified_s, checksum = row
    return Part(number, blob, size, etag, modified_s, checksum_of(checksum))
