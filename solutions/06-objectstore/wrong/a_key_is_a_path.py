# caught by: test_boto3
# replaces: object_server.py
# It looks like a path, so it is treated like one: a/../b becomes b, and two keys are one object.
import posixpath
import contextlib

import sys
from pathlib import Path

from conditions import refusal
from given.documents import failure, listing
from given.errors import BucketNotEmpty, Changed, NoSuchBucket, NoSuchKey

from given.messages import Request, Response
from given.remote import RemoteStorage
from given.server import serve
from given.storage import MemoryStorage, Storage

from pages import page_after
from ranges import NotSatisfiable, part_of


MAX_KEYS = 1000


class ObjectServer:

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

    def create_bucket(self, request: Request) -> Response:
        self.storage.create(request.bucket)
        return Response(200)

    def remove_bucket(self, request: Request) -> Response:
        self.storage.remove(request.bucket)
        return Response(204)

    def list_keys(self, request: Request) -> Response:
        query = request.query
        prefix, asked = query.get("prefix", ""), query.get("max-keys", str(MAX_KEYS))
        if not asked.isdecimal():
            return failure(400, "InvalidArgument")
        keys = [key for key in self.storage.keys(request.bucket) if key.startswith(prefix)]
        page = page_after(query.get("continuation-token"), keys, min(int(asked), MAX_KEYS))
        return listing(request.bucket, prefix, page)

    def put_object(self, request: Request) -> Response:
        bucket, headers = request.bucket, request.headers
        key = posixpath.normpath(request.key)
        there = self.storage.etag(bucket, key)
        if refusal(request.method, headers, there):
            raise Changed(key)
        conditional = "if-match" in headers or "if-none-match" in headers
        content_type = headers.get("content-type", "application/octet-stream")
        expected = there if conditional else None  # what we have looked at may be gone when the body has come
        return Response(200, {"ETag": self.storage.put(bucket, key, request.body, content_type, expected)})

    def get_object(self, request: Request) -> Response:
        found = self.storage.get(request.bucket, posixpath.normpath(request.key))
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

    def delete_object(self, request: Request) -> Response:
        with contextlib.suppress(NoSuchKey):
            self.storage.delete(request.bucket, request.key)
        return Response(204)


def storage_of(kind: str, place: str = "") -> Storage:
    if kind == "disk":
        from disk_storage import DiskStorage

        return DiskStorage(Path(place))
    return RemoteStorage(place) if kind == "remote" else MemoryStorage()


def main() -> None:
    address, *storage = sys.argv[1:]
    print(f"serving at {address}", flush=True)
    serve(address, ObjectServer(storage_of(*storage)).answer)


if __name__ == "__main__":
    main()
