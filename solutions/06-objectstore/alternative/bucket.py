"""Step 6.4, with the standard library's own HTTP errors turned into exceptions in one place."""

import re
from xml.sax.saxutils import unescape

from given.client import Store


class StoreError(Exception):
    """The store did not do it."""


class NoSuchBucket(StoreError):
    """No bucket."""


class NoSuchKey(StoreError):
    """No key."""


class BucketNotEmpty(StoreError):
    """Keys."""


def _request(method: str, *parts: str, body: bytes = b"", **query: str) -> tuple[dict[str, str], bytes]:
    path = "/" + "/".join(parts)
    words = {name.replace("_", "-"): value for name, value in query.items()}
    response = Store.of_environment().ask(method, path, {}, body, words)
    data = b"".join([response.body])
    if response.status >= 300:
        code = re.search(rb"<Code>(\w+)</Code>", data)
        name = code[1].decode() if code else str(response.status)
        if name != "BucketAlreadyOwnedByYou":
            kinds = {kind.__name__: kind for kind in StoreError.__subclasses__()}
            raise kinds.get(name, StoreError)(f"{method} {path}: {response.status} {name}")
    return dict(response.headers), data


def create(name: str) -> None:
    """PUT /name."""
    _request("PUT", name)


def delete(name: str) -> None:
    """DELETE /name."""
    _request("DELETE", name)


def put(name: str, key: str, data: bytes) -> str:
    """PUT /name/key."""
    return _request("PUT", name, key, body=data)[0]["etag"]


def get(name: str, key: str) -> bytes:
    """GET /name/key."""
    return _request("GET", name, key)[1]


def remove(name: str, key: str) -> None:
    """DELETE /name/key."""
    _request("DELETE", name, key)


def list(name: str, prefix: str = "", page_keys: int = 1000) -> list[str]:  # noqa: A001
    """GET /name, again and again."""
    found: list[str] = []
    after = ""
    while True:
        _, data = _request(
            "GET", name, list_type="2", prefix=prefix, max_keys=str(page_keys), start_after=after
        )
        text = data.decode()
        found += [unescape(key) for key in re.findall("<Key>(.*?)</Key>", text, re.DOTALL)]
        if "<IsTruncated>true</IsTruncated>" not in text:
            return found
        after = found[-1]
