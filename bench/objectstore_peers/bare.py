"""The least that uvicorn can do: one answer to all that is put, one to all else. Prints where it listens.

The answers have the headers of S3's: a client such as boto3 reads them all, and computes the checksum anew.
"""

from __future__ import annotations

import base64
import socket
import zlib
from typing import Any

import uvicorn

BODY = bytes(1024)
ETAG = '"0f343b0931126a20f133d67c2b018a3b"'
OF_BOTH = [
    (b"etag", ETAG.encode()),
    (b"x-amz-checksum-crc32", base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big"))),
    (b"x-amz-checksum-type", b"FULL_OBJECT"),
    (b"x-amz-request-id", b"0123456789ABCDEF"),
]
OF_PUT = [*OF_BOTH, (b"content-length", b"0")]
OF_GET = [
    *OF_BOTH,
    (b"content-length", b"1024"),
    (b"content-type", b"binary/octet-stream"),
    (b"last-modified", b"Sun, 01 Nov 2026 00:00:00 GMT"),
    (b"accept-ranges", b"bytes"),
]


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
