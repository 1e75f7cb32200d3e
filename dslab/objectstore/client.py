"""The library beside the protocol: the same operations as procedures, on top of REST.

::

    with connect("127.0.0.1:9000", key="ID:SECRET") as store:
        store.create("mybucket")
        store.put("mybucket", "greeting", b"Hello")
        print(store.get("mybucket", "greeting"))

A program that calls these knows nothing of HTTP: there are many procedures with many arguments, checked
when the program is written. REST has four verbs, and everything is in the names and the headers. Neither
is the better one; the textbook compares them by this very example.

Source: ch. 2, Service-oriented architectures (RESTful architectures: S3's SOAP interface against its REST
one).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote, unquote_plus
from xml.etree.ElementTree import Element

import httpx

from dslab.kit.address import Address
from dslab.kit.errors import (
    Happened,
    PeerClosed,
    PeerError,
    PeerRefused,
    PeerSilent,
    PeerViolation,
    UsageError,
)
from dslab.objectstore.auth import EMPTY_SHA256, UNSIGNED, Request, canonical_query, presign, sign
from dslab.objectstore.documents import read
from dslab.objectstore.errors import S3Error
from dslab.objectstore.protocol import parse_http_date

DEFAULT_TIMEOUT_S = 30.0
REGION = "us-east-1"

_NO_DOCUMENT = {404: "NoSuchKey", 412: "PreconditionFailed", 304: "NotModified", 403: "AccessDenied"}


class StoreRefused(PeerError):
    """The store answered that it does not do that: nothing happened.

    Attributes:
        status: The HTTP status.
        code: S3's code: ``NoSuchKey``, ``PreconditionFailed`` ...
    """

    happened = Happened.NO

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.status = status
        self.code = code


@contextmanager
def _encoding() -> Iterator[None]:
    """Say whose fault it is that a text has no bytes: half of a surrogate pair has none."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise UsageError(f"That cannot be sent: {error}.") from error


@dataclass(frozen=True, slots=True)
class Entry:
    """An object, as a list or a HEAD tells of it."""

    key: str
    size_bytes: int
    etag: str
    modified_s: float


class Client:
    """A connection to a store. A context manager.

    Args:
        address: An `Address`, or ``host:port``.
        key: ``ID:SECRET``; None to be anonymous.
        timeout_s: How long to wait for an answer to begin, or to go on.
        clock: The time, in seconds since 1970.
    """

    def __init__(
        self,
        address: Address | str,
        key: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.address = Address.parse(address) if isinstance(address, str) else address
        self._key = _pair(key) if key else None
        self._clock = clock
        self._http = httpx.Client(timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    # ---- buckets

    def create(self, bucket: str) -> None:
        """Create a bucket; one that is there already stays.

        Raises:
            StoreRefused: InvalidBucketName, AccessDenied; BucketAlreadyOwnedByYou, it is there, and was made
                in another region than `REGION`.
        """
        self._request("PUT", bucket)

    def remove(self, bucket: str) -> None:
        """Remove an empty bucket.

        Raises:
            StoreRefused: NoSuchBucket, BucketNotEmpty, AccessDenied.
        """
        self._request("DELETE", bucket)

    def buckets(self) -> Sequence[str]:
        """Give the names of all buckets."""
        root = _document(self._request("GET"), "ListAllMyBucketsResult")
        return [one.findtext("Name", "") for one in root.iter("Bucket")]

    # ---- objects

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes | BinaryIO,
        *,
        content_type: str = "binary/octet-stream",
        metadata: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_absent: bool = False,
    ) -> str:
        """Put an object: gives its ETag.

        Args:
            bucket: Where.
            key: Its name.
            data: Its bytes, or a file that is read from where it stands.
            content_type: Kept, and given back.
            metadata: Kept, and given back.
            if_match: Only if the object has this ETag now.
            if_absent: Only if there is no such object now.

        Raises:
            StoreRefused: PreconditionFailed, NoSuchBucket, AccessDenied ...
        """
        headers = {"content-type": content_type}
        headers |= {f"x-amz-meta-{name}": value for name, value in (metadata or {}).items()}
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"'
        if if_absent:
            headers["if-none-match"] = "*"
        answer = self._request("PUT", bucket, key, headers=headers, data=data)
        return _etag(answer)

    def get(self, bucket: str, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Give an object's bytes, or those from `start` to `end` (exclusive).

        Raises:
            StoreRefused: NoSuchKey, NoSuchBucket, InvalidRange, AccessDenied.
        """
        headers = {}
        if start or end is not None:
            headers["range"] = f"bytes={start}-{'' if end is None else end - 1}"
        return self._request("GET", bucket, key, headers=headers).content

    def head(self, bucket: str, key: str) -> Entry:
        """Tell of an object.

        Raises:
            StoreRefused: NoSuchKey, AccessDenied.
        """
        answer = self._request("HEAD", bucket, key)
        modified_s = parse_http_date(answer.headers.get("last-modified")) or 0.0
        return Entry(key, int(answer.headers.get("content-length", "0")), _etag(answer), modified_s)

    def copy(self, bucket: str, key: str, to_bucket: str, to_key: str) -> str:
        """Copy an object inside the store: gives the copy's ETag.

        Raises:
            StoreRefused: NoSuchKey, NoSuchBucket, AccessDenied.
        """
        headers = {"x-amz-copy-source": _path(bucket, key)}
        root = _document(self._request("PUT", to_bucket, to_key, headers=headers), "CopyObjectResult")
        return root.findtext("ETag", "").strip('"')

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is not there is as good as deleted.

        Raises:
            StoreRefused: NoSuchBucket, AccessDenied.
        """
        self._request("DELETE", bucket, key)

    def list(self, bucket: str, prefix: str = "") -> Iterator[Entry]:
        """Give the objects whose keys begin with `prefix`, in order, page after page.

        Raises:
            StoreRefused: NoSuchBucket, AccessDenied.
        """
        token = ""
        while True:
            # XML cannot hold every key: "\x01" can only come encoded.
            query = [("list-type", "2"), ("prefix", prefix), ("encoding-type", "url")]
            query += [("continuation-token", token)] if token else []
            root = _document(self._request("GET", bucket, query=query), "ListBucketResult")
            decoded = unquote_plus if root.findtext("EncodingType") == "url" else str
            for one in root.iter("Contents"):
                yield Entry(
                    decoded(one.findtext("Key", "")),
                    int(one.findtext("Size", "0")),
                    one.findtext("ETag", "").strip('"'),
                    datetime.fromisoformat(one.findtext("LastModified", "")).timestamp(),
                )
            token = root.findtext("NextContinuationToken", "")
            if not token:
                return

    def presign(self, method: str, bucket: str, key: str, expires_s: int = 3600) -> str:
        """Make a URL with which anybody may do this one thing, for so long.

        Raises:
            UsageError: The object has no name.
            ValueError: This client has no key.
        """
        if self._key is None:
            raise ValueError("Who has no key can sign nothing.")
        path = _path(bucket, key)
        request = Request(method, path.encode(), (), {"host": str(self.address)})
        query = presign(request, *self._key, REGION, expires_s, self._clock())
        return f"http://{self.address}{path}?{canonical_query(query)}"

    @_encoding()
    def _request(  # noqa: PLR0917
        self,
        method: str,
        bucket: str = "",
        key: str | None = None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        data: bytes | BinaryIO = b"",
    ) -> httpx.Response:
        """One request and its answer. Without a key it is about the bucket.

        Raises:
            UsageError: The bucket or the key is no name, or a header cannot be sent.
        """
        pairs = tuple(query)
        path = _path(bucket, key).encode()
        sent = {"host": str(self.address)}
        # Text travels as UTF-8; to who signs and who reads, each byte of it is a character.
        sent |= {name.lower(): value.encode().decode("latin-1") for name, value in (headers or {}).items()}
        if self._key is not None:
            sent |= sign(
                Request(method, path, pairs, sent), *self._key, REGION, _payload(data), self._clock()
            )
        raw_path = path + (b"?" + canonical_query(pairs).encode() if pairs else b"")
        url = f"http://{self.address}/"
        extensions = {"target": raw_path}  # as it is: httpx would take a key's "../" for a path's
        if not isinstance(data, bytes):
            sent["content-length"] = str(_rest_of(data))
        content = data if not isinstance(data, bytes) or data or method == "PUT" else None
        lines = [(name.encode(), value.encode("latin-1")) for name, value in sent.items()]
        try:
            answer = self._http.request(method, url, headers=lines, content=content, extensions=extensions)
        except httpx.LocalProtocolError as error:
            raise UsageError(f"That cannot be sent: {error}.") from error
        except httpx.HTTPError as error:
            raise _failed(self.address, error) from error
        if answer.status_code >= 300:
            raise _refused(answer)
        return answer


def connect(
    address: Address | str, key: str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S
) -> Client:
    """Get ready to talk to a store; nothing is sent yet."""
    return Client(address, key, timeout_s=timeout_s)


def _pair(key: str) -> tuple[str, str]:
    access_key, colon, secret = key.partition(":")
    if not colon:
        raise UsageError("The key has no secret.", remedy="Write it as ID:SECRET.")
    return access_key, secret


@_encoding()
def _path(bucket: str, key: str | None) -> str:
    if "/" in bucket:
        raise UsageError(f"{bucket!r} is no name of a bucket.", remedy="Give bucket and key apart.")
    if key is None:
        return f"/{quote(bucket)}"
    if not bucket or not key:
        raise UsageError("An object is named by a bucket and a key.", remedy="Give a key that is not empty.")
    return f"/{quote(bucket)}/{quote(key, safe='/-_.~')}"


def _payload(data: bytes | BinaryIO) -> str:
    """What is signed of a body: of a file nothing, or it would be read twice."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest() if data else EMPTY_SHA256
    return UNSIGNED


def _rest_of(file: BinaryIO) -> int:
    """How many bytes a file still has."""
    here = file.tell()
    size = file.seek(0, 2) - here
    file.seek(here)
    return size


def _etag(answer: httpx.Response) -> str:
    return str(answer.headers.get("etag", "")).strip('"')


def _document(answer: httpx.Response, name: str) -> Element:
    try:
        return read(answer.content, name)
    except S3Error as error:
        raise PeerViolation(f"The store's answer is no {name}.") from error


def _refused(answer: httpx.Response) -> StoreRefused:
    code, message = _NO_DOCUMENT.get(answer.status_code, "Unknown"), answer.reason_phrase
    try:
        root = read(answer.content, "Error")
        code, message = root.findtext("Code", code), root.findtext("Message", message)
    except S3Error:
        pass  # HEAD has no document, and a proxy may have another one
    return StoreRefused(answer.status_code, code, message)


def _failed(address: Address, error: httpx.HTTPError) -> PeerError:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout():
            return PeerRefused(f"Nobody listens at {address}.")
        case httpx.TimeoutException():
            return PeerSilent(f"{address} did not answer in time.")
        case _:
            return PeerClosed(f"{address} closed the connection before it answered.")
