"""One request, as the rest of the server sees it, and the ways to answer it.

Source: the ASGI specification, HTTP connection scope.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from dslab.objectstore import auth_v2, checksums
from dslab.objectstore.access import OWNER, Action, Key, Rules
from dslab.objectstore.auth import Request, Seal, claim_of
from dslab.objectstore.errors import ClientGone, S3Error
from dslab.objectstore.messages import Bucket, Version
from dslab.objectstore.protocol import Target, target

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_TIMEOUT_S = 60.0
MAX_QUERY_FIELDS = 200

CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_IN_A_PRESIGNED_QUERY = re.compile(
    "x-amz-(acl|grant-.*|storage-class|tagging|meta-.*|website-redirect-location"
    "|server-side-encryption.*|object-lock-.*)"
)
_IN_AN_OLDER_QUERY = re.compile("x-amz-.*")

EXPECTED_OWNER = ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner")

HOST_ID = "dslab"
"""What S3 calls the machine that answered, for its operators: one word says as much here."""

_process = secrets.token_hex(4).upper()
_numbers = itertools.count()


class Call:
    """A request that has been read up to its body.

    Attributes:
        id: Told to the client with the answer.
        headers: Names in lower case; of several with one name, the values joined by commas. Each byte of a
            value is a character: text is UTF-8, read as Latin-1.
        query: Of several fields with one name, the first.
        pairs: The whole query.
        target: Bucket and key.
        key: Whose it is; None for anonymous.
        seal: Its signature, verified, if it has one in a header.
        payload: What is said of the body, and signed if the request is.
        extensions: What the server can do beyond ASGI.
        started: Whether something of the body was asked for.
    """

    def __init__(self, scope: Scope, receive: Receive, domain: str) -> None:
        self.id = new_id()
        _check_host(scope)
        self.method: str = scope["method"]
        self.headers = headers_of(scope["headers"])
        raw_query: bytes = scope["query_string"]
        self.pairs = query_of(raw_query) if raw_query else ()
        self.query = dict(reversed(self.pairs))
        self.path: bytes = scope["raw_path"]
        self.host = self.headers.get("host", "")
        self.target: Target = target(self.host, self.path, domain)
        self.key: Key | None = None
        self.seal: Seal | None = None
        self.payload = self.headers.get("x-amz-content-sha256", "")
        self.extensions: Mapping[str, Any] = scope.get("extensions") or {}
        self.started = False
        self._receive = receive

    @property
    def question(self) -> tuple[str, Target, tuple[tuple[str, str], ...]]:
        """What it asks, whoever does, and whether they may."""
        return self.method, self.target, self.pairs

    @property
    def in_host(self) -> str:
        """The bucket, if it is named by the host and not by the path."""
        bucket = self.target.bucket
        return bucket if bucket and self.host.lower().startswith(bucket + ".") else ""

    def authenticate(self, rules: Rules, now_s: float) -> None:
        """Find out whose request it is.

        Raises:
            S3Error: It says so, and it is not true; or it says so in a wrong way.
        """
        request = Request(self.method, self.path, self.pairs, self.headers)
        claim = claim_of(request, now_s)
        if claim is not None:
            key = rules.key(claim.access_key)
            self.seal = claim.verify(request, key.secret)
            self.payload = claim.payload
            self.key = key
            if claim.presigned:
                self.headers = {**_headers_in(self.query, _IN_A_PRESIGNED_QUERY), **self.headers}
        elif (older := auth_v2.claim_of(request, now_s)) is not None:
            key = rules.key(older.access_key)
            if older.presigned:
                # A field of its query is signed as the header in whose place it is: so that is what it is.
                said = _headers_in(self.query, _IN_AN_OLDER_QUERY)
                request = replace(request, headers={**said, **self.headers})
                said.pop(checksums.BY_SDK, None)  # a URL is made before there is a body, and has no sum of it
                self.headers = {**said, **self.headers}
            older.verify(request, key.secret, self.in_host)
            self.key = key

    def check(self, rules: Rules, action: Action, bucket: Bucket, version: Version | None = None) -> None:
        """May they do that?

        Raises:
            S3Error: AccessDenied; so it is, too, if they take the bucket to be another account's.
        """
        if any(self.headers.get(name, OWNER) != OWNER for name in EXPECTED_OWNER):
            raise S3Error("AccessDenied")
        object_acl = version.meta.acl if version else ""
        if not rules.may(self.key, action, bucket.name, bucket.acl, object_acl):
            raise S3Error("AccessDenied")

    async def body(self) -> AsyncIterator[bytes]:
        """Give the body, piece by piece, as it comes.

        Raises:
            S3Error: RequestTimeout, nothing came for a while.
            ClientGone: The client hung up.
        """
        self.started = True
        more = True
        while more:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    message = await self._receive()
            except TimeoutError as error:
                raise S3Error("RequestTimeout", headers={"connection": "close"}) from error
            if message["type"] == "http.disconnect":
                raise ClientGone("The client hung up in the middle of its request.")
            more = message.get("more_body", False)
            if body := message.get("body", b""):
                yield body

    def leftover(self) -> dict[str, str]:
        """The header that ends the connection, if a body may be on its way that nobody asked for."""
        expects = "expect" in self.headers and not self.started
        return {"connection": "close"} if expects else {}


def new_id() -> str:
    """Number a request: no other process has the same number."""
    return f"{_process}{next(_numbers):010X}"


def _check_host(scope: Scope) -> None:
    """Hold a request to its one Host header, which names the bucket: RFC 9112, section 3.2.

    Raises:
        S3Error: BadRequest.
    """
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1 and (hosts or scope.get("http_version") != "1.0"):
        raise S3Error("BadRequest", "A request must have one Host header.")


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Read the headers of a scope."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip(" \t")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def as_header(name: str, text: str) -> str:
    """Give a text the form that it has as the value of a header that arrives.

    Raises:
        S3Error: InvalidArgument, no header can have that value, or that name.
    """
    value = text.encode(errors="replace").decode("latin-1").strip(" \t")
    if not _NAME.fullmatch(name) or CONTROL_CHARACTERS.search(value):
        raise S3Error("InvalidArgument", "A header cannot hold that.", ArgumentName=name, ArgumentValue=text)
    return value


def _headers_in(query: Mapping[str, str], wanted: re.Pattern[str]) -> dict[str, str]:
    """What a presigned URL says in place of headers: who makes one cannot set those of its use.

    Not all is wanted of version 4: a URL may have a checksum, of no body, as there was none when it was made.
    """
    named = {name.lower(): value for name, value in query.items()}
    return {name: as_header(name, value) for name, value in named.items() if wanted.fullmatch(name)}


def query_of(raw: bytes) -> tuple[tuple[str, str], ...]:
    """Read a query.

    Raises:
        S3Error: InvalidURI, it is not UTF-8; InvalidArgument, it is too much.
    """
    fields = [field for field in raw.split(b"&") if field]
    if len(fields) > MAX_QUERY_FIELDS:
        raise S3Error("InvalidArgument", "The query has too many fields.")
    try:
        return tuple(
            (decoded(name), decoded(value)) for name, _, value in (f.partition(b"=") for f in fields)
        )
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI") from error


def decoded(text: bytes) -> str:
    """Read a name or a value of a query.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
    """
    return unquote_to_bytes(text.replace(b"+", b" ")).decode()


async def answer(
    call_id: str, send: Send, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> None:
    """Answer a request with what is there already. A 304 has no length: it would be that of the object."""
    length = {} if status == 304 else {"content-length": str(len(body))}
    await begin(call_id, send, status, {**(headers or {}), **length})
    await send({"type": "http.response.body", "body": body})


async def begin(call_id: str, send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Begin an answer whose body is to follow."""
    lines = [(_bytes_of(name), _bytes_of(value)) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines + origin(call_id)})


def _bytes_of(text: str) -> bytes:
    """What travels of a header. An earlier version kept what forms said as text: that travels as UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def origin(call_id: str) -> list[tuple[bytes, bytes]]:
    """The headers that every answer has: which one it is, and from which machine."""
    return [(b"x-amz-request-id", call_id.encode()), (b"x-amz-id-2", HOST_ID.encode())]
