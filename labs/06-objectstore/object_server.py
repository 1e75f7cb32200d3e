"""Steps 6.1 to 6.3 and 6.5. An S3-like server: a few methods, any number of resources, no state of its own.

Usage: python object_server.py HOST:PORT memory
       python object_server.py HOST:PORT disk FOLDER          (step 6.6)
       python object_server.py HOST:PORT remote HOST:PORT     (step 6.3)

=========================  ==============================  ==================================================
request                    when all is well                when it is not
=========================  ==============================  ==================================================
PUT /bucket                200, also if it is there
DELETE /bucket             204                             404 NoSuchBucket, 409 BucketNotEmpty
GET /bucket?prefix=p       200, the keys that begin so     404 NoSuchBucket
PUT /bucket/key            200 and the ETag                404 NoSuchBucket
GET, HEAD /bucket/key      200, ETag, Content-Type,        404 NoSuchBucket, NoSuchKey
                           Content-Length, the content
DELETE /bucket/key         204, also if nothing is there   404 NoSuchBucket
any other method                                           405 MethodNotAllowed, Allow: those that there are
=========================  ==============================  ==================================================

What is put without a Content-Type is ``application/octet-stream``: bytes, and nobody knows more.
"""

import sys
from pathlib import Path

from given.messages import Request, Response
from given.remote import RemoteStorage
from given.server import serve
from given.storage import MemoryStorage, Storage

MAX_KEYS = 1000
"""A page of a list has no more keys than that."""


class ObjectServer:
    """Answers requests about the objects in a storage. Every front end of a store is one of these."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.of_a_bucket = {
            "PUT": self.create_bucket,
            "GET": self.list_keys,
            "HEAD": self.list_keys,
            "DELETE": self.remove_bucket,
        }
        self.of_an_object = {
            "PUT": self.put_object,
            "GET": self.get_object,
            "HEAD": self.get_object,
            "DELETE": self.delete_object,
        }

    def answer(self, request: Request) -> Response:
        """Answer any request: find the method for it, and turn what storage raises into a status."""
        # TODO step 6.1: look its method up in a table; call it; exceptions to statuses
        raise NotImplementedError("lab 6, step 6.1")

    def create_bucket(self, request: Request) -> Response:
        """PUT /bucket."""
        # TODO step 6.1: create it
        raise NotImplementedError("lab 6, step 6.1")

    def remove_bucket(self, request: Request) -> Response:
        """DELETE /bucket."""
        # TODO step 6.1: remove it
        raise NotImplementedError("lab 6, step 6.1")

    def list_keys(self, request: Request) -> Response:
        """GET /bucket: the keys that begin with the query's ``prefix``.

        Step 6.3: ``max-keys`` of them, never more than MAX_KEYS; ``continuation-token`` is where to go on. If
        ``max-keys`` is no number from 0 on, 400 InvalidArgument.
        """
        # TODO step 6.1: answer with a listing() of the keys; step 6.3: of one page of them
        raise NotImplementedError("lab 6, step 6.1")

    def put_object(self, request: Request) -> Response:
        """PUT /bucket/key.

        Step 6.2: with If-Match or If-None-Match only if these allow it, at the moment of replacing.
        """
        # TODO step 6.1: put the body into storage, answer with its ETag; step 6.2: on condition
        raise NotImplementedError("lab 6, step 6.1")

    def get_object(self, request: Request) -> Response:
        """GET or HEAD /bucket/key. To a HEAD the shell sends the headers only.

        Step 6.2: 304, which tells the ETag too, or 412 if a condition says so. Step 6.5: only the part that a
        Range asks for, with 206.
        """
        # TODO step 6.1: answer with the object and its headers; step 6.2: conditions; 6.5: ranges
        raise NotImplementedError("lab 6, step 6.1")

    def delete_object(self, request: Request) -> Response:
        """DELETE /bucket/key: afterwards it is not there, and that is all that the client wants to know.

        No condition is looked at: storage could not test it in one step with the deletion.
        """
        # TODO step 6.1: delete it; 204 also if there was nothing to delete
        raise NotImplementedError("lab 6, step 6.1")


def storage_of(kind: str, place: str = "") -> Storage:
    """The storage that the command line names."""
    if kind == "disk":
        from disk_storage import DiskStorage

        return DiskStorage(Path(place))
    return RemoteStorage(place) if kind == "remote" else MemoryStorage()


def main() -> None:
    """Serve at the address on the command line."""
    address, *storage = sys.argv[1:]
    print(f"serving at {address}", flush=True)
    serve(address, ObjectServer(storage_of(*storage)).answer)


if __name__ == "__main__":
    main()
