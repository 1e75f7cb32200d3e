"""The same as `bare`, as a route of FastAPI's."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from bench.objectstore_peers.bare import BODY, ETAG, serve

api = FastAPI()


@api.api_route("/{bucket}/{key}", methods=["GET", "HEAD", "PUT"])
async def answer(bucket: str, key: str, request: Request) -> Response:
    """Answer, having read what was put."""
    async for _ in request.stream():
        pass
    return Response(b"" if request.method == "PUT" else BODY, headers={"etag": ETAG})


if __name__ == "__main__":
    serve(api)
