"""Buckets as the textbook's program uses them.

::

    import bucket
    bucket.create("mybucket")

The store is found by OBJECTSTORE_ADDR (``host:port``), the key by OBJECTSTORE_KEY (``ID:SECRET``). A folder
whose programs shall be able to ``import bucket`` has a file ``bucket.py`` that takes everything from here::

    from dslab.objectstore.bucket import *

A program that wants several stores, or several keys, uses `dslab.objectstore.client.connect`, of which
this module keeps one.

Source: ch. 2, Service-oriented architectures (RESTful architectures), ``import bucket``.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from dslab.objectstore import client as _client
from dslab.objectstore.client import Entry

__all__ = ["buckets", "copy", "create", "delete", "get", "head", "list", "presign", "put", "remove"]

DEFAULT_ADDRESS = "127.0.0.1:9000"

_connected: _client.Client | None = None


def create(bucket: str) -> None:
    """Create a bucket; one that is there already stays (see `Client.create`)."""
    _store().create(bucket)


def remove(bucket: str) -> None:
    """Remove an empty bucket."""
    _store().remove(bucket)


def buckets() -> Sequence[str]:
    """Give the names of all buckets."""
    return _store().buckets()


def put(bucket: str, key: str, data: bytes | BinaryIO, metadata: Mapping[str, str] | None = None) -> str:
    """Put an object: gives its ETag."""
    return _store().put(bucket, key, data, metadata=metadata)


def get(bucket: str, key: str) -> bytes:
    """Give an object's bytes."""
    return _store().get(bucket, key)


def head(bucket: str, key: str) -> Entry:
    """Tell of an object."""
    return _store().head(bucket, key)


def copy(bucket: str, key: str, to_bucket: str, to_key: str) -> str:
    """Copy an object inside the store: gives the copy's ETag."""
    return _store().copy(bucket, key, to_bucket, to_key)


def delete(bucket: str, key: str) -> None:
    """Delete an object; one that is not there is as good as deleted."""
    _store().delete(bucket, key)


def list(bucket: str, prefix: str = "") -> Iterator[Entry]:  # noqa: A001  the interface's word
    """Give the objects whose keys begin with `prefix`, in order."""
    return _store().list(bucket, prefix)


def presign(method: str, bucket: str, key: str, expires_s: int = 3600) -> str:
    """Make a URL with which anybody may do this one thing, for so long."""
    return _store().presign(method, bucket, key, expires_s)


def _store() -> _client.Client:
    global _connected  # noqa: PLW0603  the textbook's program has one store, and no name for it
    if _connected is None:
        address = os.environ.get("OBJECTSTORE_ADDR", DEFAULT_ADDRESS)
        _connected = _client.connect(address, os.environ.get("OBJECTSTORE_KEY"))
        atexit.register(_connected.close)
    return _connected
