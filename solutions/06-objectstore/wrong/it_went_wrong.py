# caught by: test_exceptions
# replaces: bucket.py
# That something went wrong is said; what, the caller would have to find out for itself.
import xml.etree.ElementTree as ET

from given.client import Store

from given.messages import Response


class NoSuchBucket(LookupError):
    """There is no bucket of that name."""


class NoSuchKey(LookupError):
    """There is no object under that key."""


class BucketNotEmpty(Exception):
    """A bucket with objects in it is not removed."""


class StoreError(Exception):
    """The store answered something else: status and code stand in the message, ``400 InvalidBucketName``."""


def create(name: str) -> None:
    _ask("PUT", f"/{name}")


def delete(name: str) -> None:
    _ask("DELETE", f"/{name}")


def put(name: str, key: str, data: bytes) -> str:
    return _ask("PUT", f"/{name}/{key}", data).headers["etag"]


def get(name: str, key: str) -> bytes:
    return content(_ask("GET", f"/{name}/{key}"))


def remove(name: str, key: str) -> None:
    _ask("DELETE", f"/{name}/{key}")


def list(name: str, prefix: str = "", page_keys: int = 1000) -> list[str]:  # noqa: A001 - the textbook's word
    query = {"list-type": "2", "prefix": prefix, "max-keys": str(page_keys)}
    keys: list[str] = []
    while True:
        page = ET.fromstring(content(_ask("GET", f"/{name}", query=query)))
        keys += [key.text for key in page.iterfind("{*}Contents/{*}Key")]
        token = page.findtext("{*}NextContinuationToken")
        if token is None:
            return keys
        query["continuation-token"] = token


def content(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


ERRORS = {error.__name__: error for error in (NoSuchBucket, NoSuchKey, BucketNotEmpty)}


def _ask(method: str, path: str, data: bytes = b"", query: dict[str, str] | None = None) -> Response:
    response = Store.of_environment().ask(method, path, body=data, query=query)
    if response.status in {200, 204}:
        return response
    code = ET.fromstring(content(response)).findtext("{*}Code")
    raise ERRORS[code](path) if code in ERRORS else StoreError("the store did not do it")
