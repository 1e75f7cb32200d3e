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
    # TODO step 6.4: one request; what its status means
    raise NotImplementedError("lab 6, step 6.4")


def delete(name: str) -> None:
    """Remove an empty bucket. Raises NoSuchBucket, BucketNotEmpty."""
    # TODO step 6.4: one request; what its status means
    raise NotImplementedError("lab 6, step 6.4")


def put(name: str, key: str, data: bytes) -> str:
    """Put an object under a key; its ETag. Raises NoSuchBucket."""
    # TODO step 6.4: one request; what its status means
    raise NotImplementedError("lab 6, step 6.4")


def get(name: str, key: str) -> bytes:
    """The object under a key. Raises NoSuchBucket, NoSuchKey."""
    # TODO step 6.4: one request; what its status means
    raise NotImplementedError("lab 6, step 6.4")


def remove(name: str, key: str) -> None:
    """Delete the object under a key, if there is one. Raises NoSuchBucket."""
    # TODO step 6.4: one request; what its status means
    raise NotImplementedError("lab 6, step 6.4")


def list(name: str, prefix: str = "", page_keys: int = 1000) -> list[str]:  # noqa: A001 - the textbook's word
    """All keys that begin with the prefix, however many there are. Raises NoSuchBucket.

    Args:
        name: The bucket.
        prefix: What they begin with.
        page_keys: The store is asked for so many at a time.
    """
    # TODO step 6.4: GET with list-type=2, prefix, max-keys; go on while there is a next token
    raise NotImplementedError("lab 6, step 6.4")


def content(response: Response) -> bytes:
    """The body of a response."""
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)
