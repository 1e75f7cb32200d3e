"""Lists: keys, versions and uploads of a bucket, page by page, rolled up at a delimiter.

With a delimiter a list looks like a folder, although there are none: ``a/1 a/2 b`` is listed as the
prefix ``a/`` and the key ``b``. A bucket may hold a million keys under ``a/``, so what is rolled up is
not read: the search goes on at the first key after all of them. A page costs what it shows, however many
keys there are.

Functions of a connection. Keys are compared as UTF-8 bytes, which is how SQLite compares text, and S3 too.

Source: Amazon S3 User Guide, Organizing objects using prefixes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from dslab.objectstore import uploads, versions
from dslab.objectstore.index import next_number
from dslab.objectstore.messages import Bucket, Listed, Page, Upload, Version, number_in
from dslab.objectstore.protocol import MAX_KEY_BYTES

T = TypeVar("T", Listed, Version, Upload)

_LISTED = (
    "SELECT key, modified_s, size_bytes, etag, checksum, CASE instr(headers, 'x-amz-storage-class') WHEN 0"
    """ THEN 'STANDARD' ELSE coalesce(json_extract(headers, '$."x-amz-storage-class"'), 'STANDARD') END"""
    " FROM versions INDEXED BY versions_listed WHERE bucket = ? AND key >= ? AND current AND NOT marker"
)

_LAST_CHARACTER = "\U0010ffff"

_AFTER_ALL_KEYS = _LAST_CHARACTER * (MAX_KEY_BYTES // 4) + "\0"
"""The greatest key is as many of the last character as fit into a key, four bytes each. None is after it."""

_AFTER_ALL_ROWS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which page of a list.

    Attributes:
        prefix: Only keys that begin so.
        delimiter: Keys are rolled up to what they have up to it, after the prefix; empty for not.
        after: Where the page before this one ended: a key, or a prefix that was rolled up to.
        after_id: ... and at which version, or upload, of that key.
        most: How many entries and prefixes.
    """

    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    after_id: str = ""
    most: int = 1_000


def keys(db: sqlite3.Connection, bucket: Bucket, wanted: Wanted) -> Page:
    """List the objects that there are now."""
    if not wanted.delimiter:
        return _run(db, bucket, wanted)

    def scan(start: str) -> Iterator[Listed]:
        return map(Listed._make, _rows(db, f"{_LISTED} ORDER BY key", bucket.number, start))

    return _page(scan, scan(_start(wanted)), wanted, lambda _: "")


def _run(db: sqlite3.Connection, bucket: Bucket, wanted: Wanted) -> Page:
    """List objects where nothing is rolled up: a page is a run of keys, which SQLite finds by itself."""
    end = after_all_with(wanted.prefix)
    query = f"{_LISTED}{'' if end is None else ' AND key < ?'} ORDER BY key LIMIT ?"
    ends = () if end is None else (end,)
    rows = db.execute(query, (bucket.number, _start(wanted), *ends, wanted.most + 1)).fetchall()
    entries = tuple(map(Listed._make, rows[: wanted.most]))
    truncated = len(rows) > wanted.most > 0
    return Page(entries, (), truncated, entries[-1].key if entries else "")


def history(db: sqlite3.Connection, bucket: Bucket, wanted: Wanted) -> Page:
    """List all versions and delete markers; of one key, the newest first."""
    select = f"SELECT {versions.COLUMNS} FROM versions WHERE bucket = ?"

    def scan(start: str) -> Iterator[Version]:
        query = f"{select} AND key >= ? ORDER BY key, number DESC"
        return map(versions.version, _rows(db, query, bucket.number, start))

    first = scan(_start(wanted))
    if wanted.after_id and wanted.after.startswith(wanted.prefix):
        last = _number(db, "versions", "version_id", bucket, wanted) or _AFTER_ALL_ROWS
        query = f"{select} AND key = ? AND number < ? ORDER BY number DESC"
        first = chain(map(versions.version, _rows(db, query, bucket.number, wanted.after, last)), first)
    return _page(scan, first, wanted, lambda version: version.version_id)


def in_progress(db: sqlite3.Connection, bucket: Bucket, wanted: Wanted) -> Page:
    """List the uploads in progress; of one key, the oldest first."""
    select = f"SELECT {uploads.COLUMNS} FROM uploads WHERE bucket = ?"

    def scan(start: str) -> Iterator[Upload]:
        query = f"{select} AND key >= ? ORDER BY key, number"
        return map(uploads.upload, _rows(db, query, bucket.number, start))

    first = scan(_start(wanted))
    if wanted.after_id and wanted.after.startswith(wanted.prefix):
        last = _number(db, "uploads", "upload_id", bucket, wanted)
        query = f"{select} AND key = ? AND number > ? ORDER BY number"
        first = chain(map(uploads.upload, _rows(db, query, bucket.number, wanted.after, last)), first)
    return _page(scan, first, wanted, lambda upload: upload.upload_id)


def _number(db: sqlite3.Connection, table: str, column: str, bucket: Bucket, wanted: Wanted) -> int:
    """Which row the page before this one ended with. It may be gone: who empties a bucket goes page by page.

    Args:
        db: The connection.
        table: Where the row is, or was.
        column: Where its id is.
        bucket: Where.
        wanted: Which page.

    Returns:
        0 after an id that is no more and has no row's number (``null``): nobody knows where it was. Then the
        list begins anew with that key: to show something twice is better than never.
    """
    query = f"SELECT number FROM {table} WHERE bucket = ? AND key = ? AND {column} = ?"
    row = db.execute(query, (bucket.number, wanted.after, wanted.after_id)).fetchone()
    number: int = row[0] if row else number_in(wanted.after_id)
    return number if number < next_number(db, table) else 0


def _page(
    scan: Callable[[str], Iterator[T]], first: Iterator[T], wanted: Wanted, id_of: Callable[[T], str]
) -> Page:
    """Take entries until the page is full, leaping over those that are rolled up.

    Args:
        scan: Gives the entries from a key on.
        first: The entries where the page begins.
        wanted: Which page.
        id_of: Tells entries of one key apart.
    """
    entries: list[T] = []
    prefixes: list[str] = []
    next_key = next_id = ""
    source = first
    while True:
        entry = next(source, None)
        if entry is None or not entry.key.startswith(wanted.prefix):
            truncated = False
            break
        if len(entries) + len(prefixes) >= wanted.most:
            truncated = True
            break
        if rolled := _rolled_up(entry.key, wanted):
            prefixes.append(rolled)
            next_key, next_id = rolled, ""
            if (after := after_all_with(rolled)) is None:
                truncated = False
                break
            source = scan(after)
        else:
            entries.append(entry)
            next_key, next_id = entry.key, id_of(entry)
    return Page(tuple(entries), tuple(prefixes), truncated and wanted.most > 0, next_key, next_id)


def _rolled_up(key: str, wanted: Wanted) -> str:
    """What the key is rolled up to; empty if it is not."""
    if not wanted.delimiter:
        return ""
    at = key.find(wanted.delimiter, len(wanted.prefix))
    return key[: at + len(wanted.delimiter)] if at >= 0 else ""


def _start(wanted: Wanted) -> str:
    """The first key that may be on the page."""
    if not wanted.after or wanted.after < wanted.prefix:
        return wanted.prefix
    if wanted.delimiter and _rolled_up(wanted.after, wanted) == wanted.after:
        return after_all_with(wanted.after) or _AFTER_ALL_KEYS
    return wanted.after + "\0"  # no key has a NUL, so this is what comes next after it


def after_all_with(prefix: str) -> str | None:
    """The smallest text that is greater than every text with that prefix; None if there is none."""
    bare = prefix.rstrip(_LAST_CHARACTER)
    if not bare:
        return None
    last = ord(bare[-1])
    return bare[:-1] + ("\ue000" if last == 0xD7FF else chr(last + 1))  # no UTF-8 has surrogates


def _rows(db: sqlite3.Connection, query: str, *arguments: str | int) -> Iterator[tuple[Any, ...]]:
    """Run a query when its first row is asked for. Whoever stops early leaves no reader behind."""
    with closing(db.execute(query, arguments)) as cursor:
        yield from cursor
