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

# BEGIN SOLUTION DELETE
import contextlib

# END SOLUTION
import sys
from pathlib import Path

# BEGIN SOLUTION DELETE
from conditions import refusal
from given.documents import failure, listing
from given.errors import BucketNotEmpty, Changed, NoSuchBucket, NoSuchKey

# END SOLUTION
from given.messages import Request, Response
from given.remote import RemoteStorage
from given.server import serve
from given.storage import MemoryStorage, Storage

# BEGIN SOLUTION DELETE
from pages import page_after
from ranges import NotSatisfiable, part_of

# END SOLUTION

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
        # BEGIN SOLUTION step-6.1 "look its method up in a table; call it; exceptions to statuses"
        methods = self.of_an_object if request.key else self.of_a_bucket
        if request.method not in methods:
            return failure(405, "MethodNotAllowed", Allow=", ".join(methods))
        try:
            return methods[request.method](request)
        except (NoSuchBucket, NoSuchKey) as error:
            return failure(404, type(error).__name__)
        except BucketNotEmpty:
            return failure(409, "BucketNotEmpty")
        except Changed:
            return failure(412, "PreconditionFailed")
        # END SOLUTION

    def create_bucket(self, request: Request) -> Response:
        """PUT /bucket."""
        # BEGIN SOLUTION step-6.1 "create it"
        self.storage.create(request.bucket)
        return Response(200)
        # END SOLUTION

    def remove_bucket(self, request: Request) -> Response:
        """DELETE /bucket."""
        # BEGIN SOLUTION step-6.1 "remove it"
        self.storage.remove(request.bucket)
        return Response(204)
        # END SOLUTION

    def list_keys(self, request: Request) -> Response:
        """GET /bucket: the keys that begin with the query's ``prefix``.

        Step 6.3: ``max-keys`` of them, never more than MAX_KEYS; ``continuation-token`` is where to go on. If
        ``max-keys`` is no number from 0 on, 400 InvalidArgument.
        """
        # BEGIN SOLUTION step-6.1 "answer with a listing() of the keys; step 6.3: of one page of them"
        query = request.query
        prefix, asked = query.get("prefix", ""), query.get("max-keys", str(MAX_KEYS))
        if not asked.isdecimal():
            return failure(400, "InvalidArgument")
        keys = [key for key in self.storage.keys(request.bucket) if key.startswith(prefix)]
        page = page_after(query.get("continuation-token"), keys, min(int(asked), MAX_KEYS))
        return listing(request.bucket, prefix, page)
        # END SOLUTION

    def put_object(self, request: Request) -> Response:
        """PUT /bucket/key.

        Step 6.2: with If-Match or If-None-Match only if these allow it, at the moment of replacing.
        """
        # BEGIN SOLUTION step-6.1 "put the body into storage, answer with its ETag; step 6.2: on condition"
        bucket, key, headers = request.bucket, request.key, request.headers
        there = self.storage.etag(bucket, key)
        if refusal(request.method, headers, there):
            raise Changed(key)
        conditional = "if-match" in headers or "if-none-match" in headers
        content_type = headers.get("content-type", "application/octet-stream")
        expected = there if conditional else None  # what we have looked at may be gone when the body has come
        return Response(200, {"ETag": self.storage.put(bucket, key, request.body, content_type, expected)})
        # END SOLUTION

    def get_object(self, request: Request) -> Response:
        """GET or HEAD /bucket/key. To a HEAD the shell sends the headers only.

        Step 6.2: 304, which tells the ETag too, or 412 if a condition says so. Step 6.5: only the part that a
        Range asks for, with 206.
        """
        # BEGIN SOLUTION step-6.1 "answer with the object and its headers; step 6.2: conditions; 6.5: ranges"
        found = self.storage.get(request.bucket, request.key)
        headers = {"ETag": found.etag, "Content-Type": found.content_type}
        status = refusal(request.method, request.headers, found.etag)
        if status == 304:
            return Response(304, {"ETag": found.etag})
        if status:
            raise Changed(request.key)
        try:
            part = part_of(request.headers.get("range", ""), found.size)
        except NotSatisfiable:
            return failure(416, "InvalidRange", Content_Range=f"bytes */{found.size}")
        if part is None:
            return Response(200, headers | {"Content-Length": str(found.size)}, found.pieces())
        first, last = part
        headers |= {
            "Content-Range": f"bytes {first}-{last}/{found.size}",
            "Content-Length": str(last - first + 1),
        }
        return Response(206, headers, found.pieces(first, last - first + 1))
        # END SOLUTION

    def delete_object(self, request: Request) -> Response:
        """DELETE /bucket/key: afterwards it is not there, and that is all that the client wants to know.

        No condition is looked at: storage could not test it in one step with the deletion.
        """
        # BEGIN SOLUTION step-6.1 "delete it; 204 also if there was nothing to delete"
        with contextlib.suppress(NoSuchKey):
            self.storage.delete(request.bucket, request.key)
        return Response(204)
        # END SOLUTION


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
