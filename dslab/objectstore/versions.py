"""Versions of objects in the index: find, put, delete, restore.

A key's newest version is its current one, unless that is a delete marker: then there is no such object.
While a bucket keeps no versions (never has, or suspended), what is written has the version id ``null`` and
replaces what had it before.

Functions of a connection. Those that change something are called inside `index.Index.write`.

Source: Amazon S3 User Guide, Using versioning in S3 buckets.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from dslab.objectstore.index import discard, next_number
from dslab.objectstore.messages import (
    NULL_VERSION,
    Bucket,
    Checksum,
    Content,
    Meta,
    Segment,
    Version,
    Versioning,
    numbered,
)

COLUMNS = (
    "number, key, version_id, modified_s, current, marker,"
    " size_bytes, etag, blob, parts, checksum, headers, tags, acl"
)
"""What `version` reads, in that order."""

_OF_KEY = f"SELECT {COLUMNS} FROM versions WHERE bucket = ? AND key = ?"
_NEWEST = f"{_OF_KEY} ORDER BY number DESC LIMIT 1"
_BY_ID = f"{_OF_KEY} AND version_id = ?"


def newest(db: sqlite3.Connection, bucket: Bucket, key: str) -> Version | None:
    """Find the newest version of a key; it may be a delete marker."""
    row = db.execute(_NEWEST, (bucket.number, key)).fetchone()
    return version(row) if row else None


def by_id(db: sqlite3.Connection, bucket: Bucket, key: str, version_id: str) -> Version | None:
    """Find one version of a key; it may be a delete marker."""
    row = db.execute(_BY_ID, (bucket.number, key, version_id)).fetchone()
    return version(row) if row else None


def segments(db: sqlite3.Connection, number: int) -> tuple[Segment, ...]:
    """Give the files of a version that has more than one."""
    query = "SELECT number, blob, size_bytes, checksum FROM segments WHERE version = ? ORDER BY number"
    rows = db.execute(query, (number,)).fetchall()
    return tuple(Segment(part, blob, size, checksum_of(text)) for part, blob, size, text in rows)


def put(  # noqa: PLR0917  a version is that much
    db: sqlite3.Connection,
    bucket: Bucket,
    key: str,
    content: Content,
    meta: Meta,
    modified_s: float,
    new_id: str,
    upload_id: str | None = None,
) -> Version:
    """Make a version of a key, the current one from now on.

    Its id is made of `new_id` if the bucket keeps versions. `upload_id` is the upload that it comes from.
    """
    number = next_number(db, "versions")
    version_id = _make_room(db, bucket, key, numbered(new_id, number))
    made = Version(number, key, version_id, modified_s, content, meta)
    _insert(db, bucket, made, upload_id)
    return made


def mark_deleted(
    db: sqlite3.Connection, bucket: Bucket, key: str, modified_s: float, new_id: str
) -> Version | None:
    """Delete a key: for good if the bucket never kept versions, else by a marker, which is returned."""
    if bucket.versioning is Versioning.NEVER:
        remove(db, bucket, by_id(db, bucket, key, NULL_VERSION))
        return None
    number = next_number(db, "versions")
    version_id = _make_room(db, bucket, key, numbered(new_id, number))
    made = Version(number, key, version_id, modified_s, Content(0, ""), marker=True)
    _insert(db, bucket, made, None)
    return made


def remove(db: sqlite3.Connection, bucket: Bucket, gone: Version | None, *, replaced: bool = False) -> None:
    """Remove a version for good. If it was the current one, the one before it is current again.

    Unless it is `replaced`: then another is about to be.
    """
    if gone is None:
        return
    discard(db, [gone.content.blob])
    if not gone.content.blob:
        discard(db, (segment.blob for segment in segments(db, gone.number)))
        db.execute("DELETE FROM segments WHERE version = ?", (gone.number,))
    db.execute("DELETE FROM versions WHERE number = ?", (gone.number,))
    if gone.current and not replaced:
        db.execute(
            "UPDATE versions SET current = 1 WHERE number ="
            " (SELECT max(number) FROM versions WHERE bucket = ? AND key = ?)",
            (bucket.number, gone.key),
        )


def set_tags(db: sqlite3.Connection, number: int, tags: Mapping[str, str]) -> None:
    """Give a version tags."""
    db.execute("UPDATE versions SET tags = ? WHERE number = ?", (to_json(tags), number))


def set_acl(db: sqlite3.Connection, number: int, acl: str) -> None:
    """Give a version a canned ACL."""
    db.execute("UPDATE versions SET acl = ? WHERE number = ?", (acl, number))


def completed(db: sqlite3.Connection, bucket: Bucket, key: str, upload_id: str) -> Version | None:
    """Find the version that came from an upload: who completes it twice shall get the same answer twice."""
    row = db.execute(f"{_OF_KEY} AND upload_id = ?", (bucket.number, key, upload_id)).fetchone()
    return version(row) if row else None


def _make_room(db: sqlite3.Connection, bucket: Bucket, key: str, new_id: str) -> str:
    """Let the newest version be the newest no more, and say which id the one to come has."""
    version_id = new_id if bucket.versioning is Versioning.ENABLED else NULL_VERSION
    if version_id == NULL_VERSION:
        remove(db, bucket, by_id(db, bucket, key, NULL_VERSION), replaced=True)
    if bucket.versioning is not Versioning.NEVER:
        db.execute(
            "UPDATE versions SET current = 0 WHERE bucket = ? AND key = ? AND current", (bucket.number, key)
        )
    return version_id


def _insert(db: sqlite3.Connection, bucket: Bucket, made: Version, upload_id: str | None) -> None:
    content, meta = made.content, made.meta
    row = {
        "number": made.number,
        "bucket": bucket.number,
        "key": made.key,
        "version_id": made.version_id,
        "modified_s": made.modified_s,
        "current": True,
        "marker": made.marker,
        "size_bytes": content.size_bytes,
        "etag": content.etag,
        "blob": content.blob,
        "parts": content.parts,
        "checksum": checksum_text(content.checksum),
        "headers": to_json(meta.headers),
        "tags": to_json(meta.tags),
        "acl": meta.acl,
        "upload_id": upload_id,
    }
    db.execute(
        f"INSERT INTO versions ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
    )
    if content.segments:
        rows = [
            (made.number, one.number, one.blob, one.size_bytes, checksum_text(one.checksum))
            for one in content.segments
        ]
        db.executemany("INSERT INTO segments VALUES (?, ?, ?, ?, ?)", rows)


# ---- rows


def version(row: tuple[Any, ...]) -> Version:
    """Read a row of `COLUMNS`."""
    (number, key, version_id, modified_s, current, marker,
     size_bytes, etag, blob, parts, checksum, headers, tags, acl) = row  # fmt: skip
    content = Content(size_bytes, etag, checksum_of(checksum), blob, parts)
    meta = Meta(from_json(headers), from_json(tags), acl)
    return Version(number, key, version_id, modified_s, content, meta, bool(current), bool(marker))


def to_json(pairs: Mapping[str, str]) -> str:
    """Write headers or tags; nothing for none, which is the usual case."""
    return json.dumps(dict(pairs)) if pairs else ""


def from_json(text: str) -> dict[str, str]:
    """Read headers or tags."""
    pairs: dict[str, str] = json.loads(text) if text else {}
    return pairs


def checksum_text(checksum: Checksum | None) -> str | None:
    """Write a checksum: ``CRC32 <value>``, ``CRC32 <value> composite``."""
    if checksum is None:
        return None
    return f"{checksum.algorithm} {checksum.value}{' composite' * checksum.composite}"


def checksum_of(text: str | None) -> Checksum | None:
    """Read a checksum."""
    if text is None:
        return None
    algorithm, value, *composite = text.split(" ")
    return Checksum(algorithm, value, bool(composite))
