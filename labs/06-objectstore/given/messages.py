"""What travels: a request and the response to it, in HTTP's own words. No socket here.

=====================================  ==========  =================
``PUT /photos/2024/sea%20side.jpg``    bucket      ``photos``
                                       key         ``2024/sea side.jpg``
``GET /photos?list-type=2&prefix=20``  bucket      ``photos``
                                       key         empty: the bucket itself
                                       query       ``{"list-type": "2", "prefix": "20"}``
=====================================  ==========  =================

Source: R. Fielding and others, RFC 9110, HTTP Semantics; ch. 2, RESTful architectures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True)
class Request:
    """What a client asks.

    Attributes:
        method: PUT, GET, HEAD, DELETE, or whatever else a client may say.
        target: The path and the query as they came, still quoted.
        headers: By name, in lower case.
        body: The bytes, in pieces as they come; to be read once. Raises BodyCutShort.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()

    @property
    def bucket(self) -> str:
        """The first part of the path; empty if there is none."""
        return unquote(self._parts()[0])

    @property
    def key(self) -> str:
        """Everything behind the bucket; empty if it is the bucket itself that is meant."""
        return unquote(self._parts()[1])

    @property
    def query(self) -> dict[str, str]:
        """What stands behind the question mark."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def _parts(self) -> tuple[str, str]:
        path = self.target.partition("?")[0].removeprefix("/")
        bucket, _, key = path.partition("/")
        return bucket, key


@dataclass(frozen=True)
class Response:
    """What a server answers.

    Attributes:
        status: 200, 404 ...
        headers: By name. In a response that a client got, the names are in lower case.
        body: The bytes; or pieces of them, and then Content-Length is among the headers.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""


class BodyCutShort(ConnectionError):
    """The client was gone before it had sent as much as it had announced."""
