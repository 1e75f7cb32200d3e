"""One request to an HTTP server: `ask`; and to an S3-like store, with a signature: `Store`.

Whatever breaks is a ConnectionError: no connection, a connection that ends too early, half a response. Of
these only ConnectionRefusedError says that nothing has happened. Silence is a TimeoutError.

Source: Amazon, Authenticating Requests (AWS Signature Version 4), S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from urllib.parse import quote

from given.messages import Response

TIMEOUT_S = 10.0
PIECE_BYTES = 65_536
OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length", "date"}
"""Headers that are about one connection, or made anew for each: not to be passed on."""


def ask(
    address: str,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    timeout_s: float = TIMEOUT_S,
) -> Response:
    """Make one request over a connection of its own, and wait for the whole response.

    Args:
        address: ``host:port``.
        method: PUT, GET ...
        target: Path and query, quoted.
        headers: Those about the connection are left out.
        body: What to send.
        timeout_s: For each wait.

    Raises:
        ConnectionError: Something broke. ConnectionRefusedError: nothing has happened.
        TimeoutError: No answer.
    """
    with _made(address, method, target, dict(headers or {}), body, timeout_s=timeout_s) as response:
        data = response.read()
        return Response(response.status, _names_in_lower_case(response, keep_length=method == "HEAD"), data)


class Store:
    """A store at an address, and the key that opens it.

    Args:
        address: ``host:port``.
        key: ``ID:SECRET``; empty for a store that asks nobody.
    """

    def __init__(self, address: str, key: str = "") -> None:
        self.address = address
        self._id, _, self._secret = key.partition(":")

    @classmethod
    def of_environment(cls) -> Store:
        """The store that STORE_ADDR and STORE_KEY name."""
        return cls(os.environ["STORE_ADDR"], os.environ.get("STORE_KEY", ""))

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        query: Mapping[str, str] | None = None,
    ) -> Response:
        """Make one request. Raises as the function `ask` does.

        Args:
            method: PUT, GET ...
            path: ``/bucket/key``, not quoted yet.
            headers: More headers.
            body: What to send.
            query: What stands behind the question mark, not quoted yet.
        """
        target, signed = self._signed(method, path, dict(headers or {}), body, dict(query or {}))
        return ask(self.address, method, target, signed, body)

    @contextmanager
    def open(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[Response]:
        """GET, with the body in pieces as they come; each may raise ConnectionError or TimeoutError."""
        target, signed = self._signed("GET", path, dict(headers or {}), b"", {})
        with _made(self.address, "GET", target, signed, b"", timeout_s=TIMEOUT_S) as response:
            yield Response(
                response.status, _names_in_lower_case(response, keep_length=True), _pieces(response)
            )

    def _signed(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, str]
    ) -> tuple[str, dict[str, str]]:
        """The target, and the headers with a signature."""
        quoted = quote(path, safe="/~")
        parameters = "&".join(f"{quote(n, safe='~')}={quote(query[n], safe='~')}" for n in sorted(query))
        target = f"{quoted}?{parameters}" if parameters else quoted
        if not self._id:
            return target, headers
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        own = {"host": self.address, "x-amz-content-sha256": digest, "x-amz-date": now}
        names = ";".join(sorted(own))
        canonical = "".join(f"{name}:{own[name]}\n" for name in sorted(own))
        to_hash = "\n".join([method, quoted, parameters, canonical, names, digest])
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(to_hash.encode()).hexdigest()])
        signature = _sign(self._secret, scope, to_sign)
        own["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return target, headers | own


def _sign(secret: str, scope: str, text: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


@contextmanager
def _made(
    address: str, method: str, target: str, headers: dict[str, str], body: bytes, *, timeout_s: float
) -> Iterator[HTTPResponse]:
    host, _, port = address.rpartition(":")
    passed_on = {name: value for name, value in headers.items() if name.lower() not in OF_THE_CONNECTION}
    connection = HTTPConnection(host, int(port), timeout=timeout_s)
    try:
        connection.request(method, target, body or None, passed_on)
        yield connection.getresponse()
    except HTTPException as error:  # no response, half of one, or something else
        raise ConnectionError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _names_in_lower_case(response: HTTPResponse, *, keep_length: bool) -> dict[str, str]:
    headers = {name.lower(): value for name, value in response.getheaders()}
    left_out = OF_THE_CONNECTION - ({"content-length"} if keep_length else set())
    return {name: value for name, value in headers.items() if name not in left_out}


def _pieces(response: HTTPResponse) -> Iterator[bytes]:
    left = response.length
    while piece := response.read1(PIECE_BYTES):
        yield piece
        left = None if left is None else left - len(piece)
    if left:
        raise ConnectionError(f"{left:,} bytes of the response are missing")
