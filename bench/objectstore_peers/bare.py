"""The least that uvicorn can do: one answer to everything. Prints where it listens."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

BODY = bytes(1024)
HEADERS = [(b"content-length", b"1024"), (b"etag", b'"0f343b0931126a20f133d67c2b018a3b"')]


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else BODY})


def main() -> None:
    """Serve until the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http="httptools", loop="uvloop", lifespan="off", ws="none", access_log=False,
        log_level="error",
    )  # fmt: skip
    print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
