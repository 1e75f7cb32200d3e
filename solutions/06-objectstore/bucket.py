"""Step 6.4. Buckets as procedures, on top of REST.

::

    import bucket
    bucket.create("mybucket")

The same operations as ``PUT http://.../mybucket`` and its like, in the words of a library. STORE_ADDR says
where the store is (``host:port``), STORE_KEY has the key that opens it (``ID:SECRET``).

What the store says is XML. A list has the namespace of S3, ``http://s3.amazonaws.com/doc/2006-03-01/``; what
says that something failed has none, ``<Error><Code>NoSuchKey</Code>...``.

A library says what went wrong with an exception. What broke on the way stays what it is, a ConnectionError or
a TimeoutError: whether the operation has happened is then unknown.

Source: ch. 2, Service-oriented architectures, the interfaces of Amazon S3.
"""

# BEGIN SOLUTION DELETE
import xml.etree.ElementTree as ET

from given.client import Store

# END SOLUTION
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
    """Make a bucket. Nothing happens if it is yours already."""
    # BEGIN SOLUTION step-6.4 "one request; what its status means"
    _ask("PUT", f"/{name}")
    # END SOLUTION


def delete(name: str) -> None:
    """Remove an empty bucket. Raises NoSuchBucket, BucketNotEmpty."""
    # BEGIN SOLUTION step-6.4 "one request; what its status means"
    _ask("DELETE", f"/{name}")
    # END SOLUTION


def put(name: str, key: str, data: bytes) -> str:
    """Put an object under a key; its ETag. Raises NoSuchBucket."""
    # BEGIN SOLUTION step-6.4 "one request; what its status means"
    return _ask("PUT", f"/{name}/{key}", data).headers["etag"]
    # END SOLUTION


def get(name: str, key: str) -> bytes:
    """The object under a key. Raises NoSuchBucket, NoSuchKey."""
    # BEGIN SOLUTION step-6.4 "one request; what its status means"
    return content(_ask("GET", f"/{name}/{key}"))
    # END SOLUTION


def remove(name: str, key: str) -> None:
    """Delete the object under a key, if there is one. Raises NoSuchBucket."""
    # BEGIN SOLUTION step-6.4 "one request; what its status means"
    _ask("DELETE", f"/{name}/{key}")
    # END SOLUTION


def list(name: str, prefix: str = "", page_keys: int = 1000) -> list[str]:  # noqa: A001 - the textbook's word
    """All keys that begin with the prefix, however many there are. Raises NoSuchBucket.

    Args:
        name: The bucket.
        prefix: What they begin with.
        page_keys: The store is asked for so many at a time.
    """
    # BEGIN SOLUTION step-6.4 "GET with list-type=2, prefix, max-keys; go on while there is a next token"
    query = {"list-type": "2", "prefix": prefix, "max-keys": str(page_keys)}
    keys: list[str] = []
    while True:
        page = ET.fromstring(content(_ask("GET", f"/{name}", query=query)))
        keys += [key.text for key in page.iterfind("{*}Contents/{*}Key")]
        token = page.findtext("{*}NextContinuationToken")
        if token is None:
            return keys
        query["continuation-token"] = token
    # END SOLUTION


def content(response: Response) -> bytes:
    """The body of a response."""
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


# BEGIN SOLUTION DELETE
ERRORS = {error.__name__: error for error in (NoSuchBucket, NoSuchKey, BucketNotEmpty)}


def _ask(method: str, path: str, data: bytes = b"", query: dict[str, str] | None = None) -> Response:
    """Make a request; raise what its status and its code mean."""
    response = Store.of_environment().ask(method, path, body=data, query=query)
    if response.status in {200, 204}:
        return response
    code = ET.fromstring(content(response)).findtext("{*}Code")
    raise ERRORS[code](path) if code in ERRORS else StoreError(f"{response.status} {code}")


# END SOLUTION
