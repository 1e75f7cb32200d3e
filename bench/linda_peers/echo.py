"""A floor: what comes goes back, from uvloop to a blocking socket, unread by either.

What is left is what the kernel and the event loop take for a round trip of ours.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import uvloop

from bench.harness import peers
from dslab.kit.address import Address

RECEIVE_BYTES = 64 * 1024


class Echo(asyncio.BufferedProtocol):
    """Gives back what it gets."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where bytes are to come."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Some have come."""
        self._transport.write(bytes(self._buffer[:nbytes]))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(f"listening on {Address(*server.sockets[0].getsockname())}", flush=True)
    await server.serve_forever()


def be_server(words: Sequence[str]) -> None:
    """Echo."""
    peers.end_with_parent()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())


@contextmanager
def running(command: Sequence[str]) -> Iterator[Callable[[bytes], object]]:
    """Start the server: gives what sends bytes and waits until they are back."""
    with peers.server(command) as server, socket.create_connection(server.address.pair) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def exchange(data: bytes) -> None:
            connection.sendall(data)
            connection.recv(RECEIVE_BYTES)

        yield exchange
