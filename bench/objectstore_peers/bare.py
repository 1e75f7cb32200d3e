"""Servers that store nothing: one answer to everything, by uvicorn or FastAPI. Prints where it listens.

Run as ``python -m bench.objectstore_peers.bare uvicorn`` or ``... fastapi``.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

import uvicorn

BODY = bytes(1024)
ETAG = '"0f343b0931126a20f133d67c2b018a3b"'
HEADERS = [(b"content-length", b"1024"), (b"etag", ETAG.encode())]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer, having read what was put."""
    method = scope["method"]
    if method == "PUT":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else BODY})


def with_fastapi() -> Any:
    """Make an application of FastAPI's that does the same."""
    from fastapi import FastAPI, Request, Response

    api = FastAPI()

    @api.api_route("/{bucket}/{key}", methods=["GET", "HEAD", "PUT"])
    async def answer(bucket: str, key: str, request: Request) -> Response:
        if request.method == "PUT":
            async for _ in request.stream():
                pass
        return Response(BODY, headers={"etag": ETAG})

    return api


def main() -> None:
    """Serve until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application if sys.argv[1] == "uvicorn" else with_fastapi(), http="httptools", loop="uvloop",
        lifespan="off", ws="none", access_log=False, log_level="error",
    )  # fmt: skip
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
