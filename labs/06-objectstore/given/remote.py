"""Storage on another machine: `RemoteStorage`, a stub of `Storage`. The other end is `given.storage_node`.

=============================  ==========================================================================
``POST /OPERATION?arguments``  ``create remove keys get etag put delete``, with arguments as in `Storage`
response 200                   the result: keys as JSON; an object as its bytes, ETag and Content-Type
response 409                   an exception, its class in the header X-Raised
=============================  ==========================================================================

This is a remote procedure call that travels in HTTP, and no REST: one method for everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import urlencode

from given.client import ask
from given.errors import BucketNotEmpty, Changed, NoSuchBucket, NoSuchKey
from given.messages import Response
from given.storage import Content

RAISED = {error.__name__: error for error in (NoSuchBucket, NoSuchKey, BucketNotEmpty, Changed)}


class RemoteStorage:
    """The client stub: calls go to the storage node at that address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def create(self, bucket: str) -> None:
        """Make a bucket."""
        self._call("create", bucket=bucket)

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket."""
        self._call("remove", bucket=bucket)

    def keys(self, bucket: str) -> list[str]:
        """All keys."""
        return list(json.loads(_whole(self._call("keys", bucket=bucket))))

    def get(self, bucket: str, key: str) -> Content:
        """Look up an object; all of it comes."""
        reply = self._call("get", bucket=bucket, key=key)
        data = _whole(reply)
        return Content(reply.headers["etag"], len(data), reply.headers["content-type"], data)

    def etag(self, bucket: str, key: str) -> str:
        """The ETag of what is there now, or ABSENT."""
        return self._call("etag", bucket=bucket, key=key).headers["etag"]

    def put(
        self, bucket: str, key: str, pieces: Iterable[bytes], content_type: str, expected: str | None = None
    ) -> str:
        """Put an object under a key."""
        only_if = {} if expected is None else {"expected": expected}
        data = b"".join(pieces)
        reply = self._call("put", data, bucket=bucket, key=key, content_type=content_type, **only_if)
        return reply.headers["etag"]

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        self._call("delete", bucket=bucket, key=key)

    def _call(self, operation: str, body: bytes = b"", /, **arguments: str) -> Response:
        reply = ask(self._address, "POST", f"/{operation}?{urlencode(arguments)}", body=body)
        if reply.status == 409:
            raise RAISED[reply.headers["x-raised"]]
        if reply.status != 200:
            raise ConnectionError(f"the storage node answered {reply.status}")
        return reply


def _whole(reply: Response) -> bytes:
    return reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
