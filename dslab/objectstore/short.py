"""The short way to an answer: for a GET of a small object or of a known list, which waits for nobody.

A task, a scope, an event and four messages, as an asynchronous server has them for every request, take
longer than such a GET. So `connection` asks here first. What comes out is what the long way sends, byte for
byte: an object is found by the same `objects.look`, and a list is what `routes.lists` has made of the same
question. Whatever is larger, has a body, or has something wrong with it goes the long way, which says what.

Of the objects' requests most are alike: no signature, no query, no condition. Their answers are remembered
as they travel, until anybody commits anything to the index (`index.Index.memory` asks it every time), and so
are lists: two servers with one folder may remember, and neither is ever stale.

Source: ch. 7, Consistency and replication (caching); ch. 3, Servers.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, NamedTuple

from dslab.objectstore import objects
from dslab.objectstore.access import Action
from dslab.objectstore.call import CONTROL_CHARACTERS, HOST_ID, Call, new_id
from dslab.objectstore.documents import MEDIA_TYPE
from dslab.objectstore.errors import S3Error
from dslab.objectstore.service import Service

SMALL_BYTES = 64 * 1024
REMEMBERED_BYTES = 4 * 1024

PLAIN = frozenset({b"host", b"user-agent", b"accept", b"accept-encoding", b"connection"})
"""Headers of which an answer does not depend, but for the host."""

MORE_TO_COME = frozenset({"content-length", "transfer-encoding", "expect", "upgrade"})
"""Headers that say that a request does not end with its head."""

Lines = list[tuple[bytes, bytes]]

_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """An answer as it travels.

    Attributes:
        head: The status line, and lines of headers. More of them may follow, and an empty one.
    """

    head: bytes
    body: bytes


class ShortWay:
    """Answers what can be answered at once."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def answer(self, method: str, url: bytes, headers: Lines) -> Answer | None:
        """Answer a request that has no body; None if it goes the long way."""
        try:
            found = self._recall(method, url, headers) or self._look(method, url, headers)
        except (S3Error, OSError, sqlite3.OperationalError):
            return None
        except UnicodeEncodeError:
            return None  # an object of an earlier version, with text beyond Latin-1: `call.begin` writes it
        except Exception:  # noqa: BLE001  a fault of our own, which the parser would take for the client's
            _log.exception("%s %r", method, url)
            return None
        if found is None:
            return None
        return Answer(b"%bx-amz-request-id: %b\r\n" % (found.head, new_id().encode()), found.body)

    def _recall(self, method: str, url: bytes, headers: Lines) -> Answer | None:
        """Answer a plain request, from memory if nothing has changed since the last one."""
        named = dict(headers)
        if b"?" in url or len(named) < len(headers) or not named.keys() <= PLAIN:
            return None
        host = named.get(b"host", b"")
        if len(url) + len(host) > REMEMBERED_BYTES:
            return None

        def look(_: sqlite3.Connection) -> Answer | None:
            found = self._look(method, url, headers)
            return found if found and len(found.body) <= REMEMBERED_BYTES else None

        return self._service.store.index.recall((method, url, host), look)

    def _look(self, method: str, url: bytes, headers: Lines) -> Answer | None:
        """Answer a request for a small object, for the headers of any, or for a list that is remembered."""
        path, _, query = url.partition(b"?")
        scope = {"method": method, "raw_path": path, "query_string": query, "headers": headers}
        call = Call(scope, _no_body, self._service.domain)
        if not MORE_TO_COME.isdisjoint(call.headers):
            return None
        return self._object(call) if objects.is_body(call) else self._list(call)

    def _object(self, call: Call) -> Answer | None:
        call.authenticate(self._service.rules, self._service.clock())
        status, found, contents = objects.look(self._service, call)
        try:
            if contents.size_bytes > SMALL_BYTES or not _fit(found):
                return None
            return Answer(head_of(status, found), b"".join(contents))
        finally:
            contents.close()

    def _list(self, call: Call) -> Answer | None:
        document = self._service.store.index.memory().get(call.question)
        if document is None:
            return None
        call.authenticate(self._service.rules, self._service.clock())
        self._service.bucket(call, Action.LIST)
        headers = {"content-length": str(len(document)), "content-type": MEDIA_TYPE}
        return Answer(head_of(HTTPStatus.OK, headers), document)


def head_of(status: int, headers: Mapping[str, str]) -> bytes:
    """Write a status line and lines of headers, and which machine it is."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    text = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{''.join(lines)}x-amz-id-2: {HOST_ID}\r\n"
    return text.encode("latin-1")


def _fit(headers: Mapping[str, str]) -> bool:
    """Does each of these fit into a line of its own? What came to be in an index otherwise may not."""
    return not any(CONTROL_CHARACTERS.search(value) for value in headers.values())


async def _no_body() -> MutableMapping[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}
