"""The storage node: keeps the objects of all front ends in its memory. The wire format is in `given.remote`.

Usage: python -m given.storage_node HOST:PORT
"""

from __future__ import annotations

import json
import sys

from given.messages import Request, Response
from given.remote import RAISED
from given.server import serve
from given.storage import MemoryStorage


class StorageNode:
    """The server stub in front of a `MemoryStorage`."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()

    def answer(self, request: Request) -> Response:
        """Make the call that a request stands for."""
        try:
            return self._call(request.bucket, request.query, request)
        except tuple(RAISED.values()) as error:
            return Response(409, {"X-Raised": type(error).__name__})

    def _call(self, operation: str, arguments: dict[str, str], request: Request) -> Response:
        match operation:
            case "create" | "remove" | "delete":
                getattr(self._storage, operation)(**arguments)
                return Response(200)
            case "keys":
                return Response(200, body=json.dumps(self._storage.keys(**arguments)).encode())
            case "get":
                found = self._storage.get(**arguments)
                return Response(200, {"ETag": found.etag, "Content-Type": found.content_type}, found.data)
            case "etag":
                return Response(200, {"ETag": self._storage.etag(**arguments)})
            case "put":
                etag = self._storage.put(pieces=request.body, **arguments)
                return Response(200, {"ETag": etag})
            case _:
                return Response(404)


if __name__ == "__main__":
    serve(sys.argv[1], StorageNode().answer)
