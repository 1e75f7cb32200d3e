"""Steps 6.1 to 6.3 and 6.5 in one function, by pattern matching on the whole of a request."""

import re
import sys
from pathlib import Path

from conditions import refusal
from disk_storage import DiskStorage
from given import documents, errors
from given.messages import Request, Response
from given.remote import RemoteStorage
from given.server import serve
from given.storage import MemoryStorage, Storage
from pages import page_after
from ranges import Nothing, part_of

STATUS = {errors.NoSuchBucket: 404, errors.NoSuchKey: 404, errors.BucketNotEmpty: 409}


def respond(request: Request, storage: Storage) -> Response:
    """What is answered when nothing is raised."""
    bucket, key = request.bucket, request.key
    match request.method, key:
        case (("PUT" | "DELETE"), ""):
            (storage.create if request.method == "PUT" else storage.remove)(bucket)
            return Response(200 if request.method == "PUT" else 204)
        case (("GET" | "HEAD"), ""):
            return a_list(bucket, storage, **request.query)
        case (("GET" | "HEAD"), _):
            return an_object(request, storage)
        case "DELETE", _:
            if storage.etag(bucket, key):
                storage.delete(bucket, key)
            return Response(204)
        case "PUT", _:
            return put(request, storage)
    return documents.failure(405, "MethodNotAllowed", Allow="DELETE, GET, HEAD, PUT")


def put(request: Request, storage: Storage) -> Response:
    """PUT /bucket/key."""
    bucket, key, headers = request.bucket, request.key, request.headers
    known = storage.etag(bucket, key)
    if refusal("PUT", headers, known):
        raise errors.Changed
    expected = known if {"if-match", "if-none-match"} & headers.keys() else None
    kind = headers.get("content-type", "application/octet-stream")
    return Response(200, {"ETag": storage.put(bucket, key, request.body, kind, expected)})


def a_list(bucket: str, storage: Storage, **query: str) -> Response:
    """GET /bucket."""
    prefix, token = query.get("prefix", ""), query.get("continuation-token")
    wanted_size = query.get("max-keys", "1000")
    if not re.fullmatch("[0-9]+", wanted_size):
        return documents.failure(400, "InvalidArgument")
    wanted = [key for key in storage.keys(bucket) if key.startswith(prefix)]
    return documents.listing(bucket, prefix, page_after(token, wanted, min(1000, int(wanted_size))))


def an_object(request: Request, storage: Storage) -> Response:
    """GET /bucket/key."""
    found = storage.get(request.bucket, request.key)
    status = refusal("GET", request.headers, found.etag)
    if status == 412:
        raise errors.Changed
    headers = {"ETag": found.etag, "Content-Type": found.content_type}
    if status:
        return Response(status, headers)
    try:
        part = part_of(request.headers.get("range", ""), found.size)
    except Nothing:
        return documents.failure(416, "InvalidRange", Content_Range=f"bytes */{found.size}")
    begin, end = part or (0, found.size - 1)
    headers["Content-Length"] = str(end + 1 - begin)
    if part:
        headers["Content-Range"] = f"bytes {begin}-{end}/{found.size}"
    return Response(206 if part else 200, headers, found.pieces(begin, end + 1 - begin))


def main() -> None:
    """Serve."""
    kinds = {"memory": MemoryStorage, "remote": RemoteStorage, "disk": lambda place: DiskStorage(Path(place))}
    address, kind, *place = sys.argv[1:]
    storage = kinds[kind](*place)

    def answer(request: Request) -> Response:
        try:
            return respond(request, storage)
        except errors.Changed:
            return documents.failure(412, "PreconditionFailed")
        except tuple(STATUS) as error:
            return documents.failure(STATUS[type(error)], type(error).__name__)

    serve(address, answer)


if __name__ == "__main__":
    main()
