"""Buckets in the index.

Functions of a connection. Those that change something are called inside `index.Index.write`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from dslab.objectstore.errors import S3Error
from dslab.objectstore.index import discard
from dslab.objectstore.messages import Bucket, Versioning

MAX_BUCKETS = 10_000

_NOT_EMPTY = "The bucket you tried to delete is not empty."
_COLUMNS = "number, name, created_s, region, versioning, acl, tags"


def create(  # noqa: PLR0917
    db: sqlite3.Connection,
    name: str,
    created_s: float,
    region: str,
    acl: str,
    tags: Mapping[str, str] | None = None,
) -> Bucket:
    """Make a bucket. One that is there stays as it is but for its ACL, in the default region, S3's oldest.

    Raises:
        S3Error: TooManyBuckets; BucketAlreadyOwnedByYou, one is there, and either is of another region.
    """
    (count,) = db.execute("SELECT count(*) FROM buckets").fetchone()
    if count >= MAX_BUCKETS:
        raise S3Error("TooManyBuckets")
    made = db.execute(
        "INSERT INTO buckets (name, created_s, region, versioning, acl, tags) VALUES (?, ?, ?, '', ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET acl = excluded.acl WHERE region = '' AND excluded.region = ''",
        (name, created_s, region, acl, _written(tags)),
    )
    if not made.rowcount:
        raise S3Error("BucketAlreadyOwnedByYou", BucketName=name)
    return get(db, name)


def get(db: sqlite3.Connection, name: str) -> Bucket:
    """Find a bucket.

    Raises:
        S3Error: NoSuchBucket.
    """
    row = db.execute(f"SELECT {_COLUMNS} FROM buckets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise S3Error("NoSuchBucket", BucketName=name)
    return _bucket(row)


def every(db: sqlite3.Connection, prefix: str = "", after: str = "", most: int = MAX_BUCKETS) -> list[Bucket]:
    """Give the buckets, by name."""
    query = f"SELECT {_COLUMNS} FROM buckets WHERE name > ? AND substr(name, 1, ?) = ? ORDER BY name LIMIT ?"
    return [_bucket(row) for row in db.execute(query, (after, len(prefix), prefix, most))]


def delete(db: sqlite3.Connection, name: str) -> None:
    """Remove an empty bucket, and the uploads that were in progress there.

    Raises:
        S3Error: NoSuchBucket, BucketNotEmpty.
    """
    bucket = get(db, name)
    number = bucket.number
    if db.execute("SELECT 1 FROM versions WHERE bucket = ? LIMIT 1", (number,)).fetchone():
        # Who keeps versions may see no object, and wonder what is in there.
        kept = bucket.versioning is not Versioning.NEVER
        message = f"{_NOT_EMPTY} You must delete all versions in the bucket." if kept else _NOT_EMPTY
        raise S3Error("BucketNotEmpty", message, BucketName=name)
    uploads = "SELECT number FROM uploads WHERE bucket = ?"
    blobs = db.execute(f"SELECT blob FROM parts WHERE upload IN ({uploads})", (number,)).fetchall()
    discard(db, (blob for (blob,) in blobs))
    db.execute(f"DELETE FROM parts WHERE upload IN ({uploads})", (number,))
    db.execute("DELETE FROM uploads WHERE bucket = ?", (number,))
    db.execute("DELETE FROM buckets WHERE number = ?", (number,))


def set_versioning(db: sqlite3.Connection, name: str, state: Versioning) -> None:
    """Say whether the bucket keeps what is overwritten."""
    db.execute("UPDATE buckets SET versioning = ? WHERE number = ?", (state.value, get(db, name).number))


def set_acl(db: sqlite3.Connection, name: str, acl: str) -> None:
    """Give the bucket a canned ACL."""
    db.execute("UPDATE buckets SET acl = ? WHERE number = ?", (acl, get(db, name).number))


def set_tags(db: sqlite3.Connection, name: str, tags: Mapping[str, str] | None) -> None:
    """Give the bucket tags, or take them away."""
    db.execute("UPDATE buckets SET tags = ? WHERE number = ?", (_written(tags), get(db, name).number))


def _written(tags: Mapping[str, str] | None) -> str | None:
    return None if tags is None else json.dumps(tags)


def _bucket(row: tuple[int, str, float, str, str, str, str | None]) -> Bucket:
    number, name, created_s, region, versioning, acl, tags = row
    return Bucket(
        number,
        name,
        created_s,
        region,
        Versioning(versioning),
        acl,
        None if tags is None else json.loads(tags),
    )
