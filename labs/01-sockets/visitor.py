"""A client that says something and reports what it saw, for ../FALLACIES.md. Nothing to fill in here.

Usage: python visitor.py HOST:PORT tcp|udp MESSAGE COUNT BYTE_ORDER
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable

from dslab.echo.client import UdpClient, connect
from dslab.echo.protocol import echo
from dslab.kit.errors import PeerError

PATIENCE_S = 2.0
LENGTHS = {"big": ">I", "little": "<I"}


def visit(address: str, transport: str, byte_order: str) -> Callable[[bytes], bytes]:
    """A function that makes one request over a connection of its own."""

    def request(message: bytes) -> bytes:
        if transport == "udp":
            with UdpClient(address, timeout_s=PATIENCE_S / 10) as client:
                return client.request(message)
        with connect(address, timeout_s=PATIENCE_S) as connection:
            connection.send(struct.pack(LENGTHS[byte_order], len(message)) + message)
            return connection.receive_message()

    return request


def timed(request: Callable[[bytes], bytes], message: bytes) -> tuple[str, float]:
    """What became of one request, and how many milliseconds it took."""
    begun_s = time.perf_counter()
    try:
        reply = request(message).decode(errors="replace")
        seen = reply if len(reply) < 40 else f"{len(reply):,} bytes"
    except PeerError as error:
        seen = f"no reply ({error.happened.value}): {type(error).__name__}"
    return seen, (time.perf_counter() - begun_s) * 1000


def main() -> None:
    """Make the requests on the command line; show the first ten."""
    address, transport, message, count, byte_order = sys.argv[1:]
    size = int(message) if message.isdecimal() else 0
    payload = b"x" * size if size else message.encode()
    request = visit(address, transport, byte_order)
    total_ms = 0.0
    for number in range(int(count)):
        seen, ms = timed(request, payload)
        total_ms += ms
        if number < 10:
            print(f"{seen}   after {ms:,.1f} ms", flush=True)
    if int(count) > 10:
        called_ms = timed(echo, payload)[1]
        print(f"on average {total_ms / int(count):.3f} ms; a call in this process takes {called_ms:.3f} ms")


if __name__ == "__main__":
    main()
