"""The least that uvicorn can do: one answer to all that is put, one to all else. Prints where it listens."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

BODY = bytes(1024)
ETAG = '"0f343b0931126a20f133d67c2b018a3b"'
OF_PUT = [(b"content-length", b"0"), (b"etag", ETAG.encode())]
OF_GET = [(b"content-length", b"1024"), (b"etag", ETAG.encode())]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer, having read what was put."""
    method = scope["method"]
    if method == "PUT":
        while (await receive()).get("more_body"):
            pass
    headers = OF_PUT if method == "PUT" else OF_GET
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY if method == "GET" else b""})


def serve(served: Any) -> None:
    """Serve an application until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        served, http="httptools", loop="uvloop", lifespan="off", ws="none", access_log=False,
        log_level="error",
    )  # fmt: skip
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve(application)
