"""The floors: what is left of a call without everything that makes it one.

``socket``: a length, and so many bytes, to and fro; a thread for each connection. Nobody marshals, looks a
procedure up, or pairs a reply with a request.

``asyncio``: the requests of MessagePack-RPC, answered by an asyncio protocol in a dozen lines. There is one
procedure, nothing is checked, and nothing can go wrong.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from bench.rpc_peers.drive import Echo
from dslab.kit.address import Address

LENGTH_BYTES = 4
MOST_BYTES = 2**21


# ---- socket


def serve_socket() -> None:
    """Echo, a thread for each connection."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"listening on {Address(*listener.getsockname())}", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_echo_socket, args=(connection,), daemon=True).start()


def _echo_socket(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    view = memoryview(bytearray(MOST_BYTES))
    with connection:
        while have := _receive(connection, view):
            connection.sendall(view[:have])


def _receive(connection: socket.socket, view: memoryview) -> int:
    """Receive a message: how many bytes it has, its length included; 0 at the end."""
    have = connection.recv_into(view)
    while 0 < have < LENGTH_BYTES or have < LENGTH_BYTES + int.from_bytes(view[:LENGTH_BYTES], "big"):
        more = connection.recv_into(view[have:])
        if not more:
            return 0
        have += more
    return have


@contextmanager
def socket_client(address: Address) -> Iterator[Echo]:
    """Send a length and bytes, and receive the same."""
    view = memoryview(bytearray(MOST_BYTES))
    with socket.create_connection(address.pair) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def echo(value: bytes | str) -> bytes | str:
            data = value.encode() if isinstance(value, str) else value
            connection.sendall(len(data).to_bytes(LENGTH_BYTES, "big") + data)
            have = _receive(connection, view)
            came = bytes(view[LENGTH_BYTES:have])
            return came.decode() if isinstance(value, str) else came

        yield echo


# ---- asyncio and msgpack


class _EchoProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        import msgpack

        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._pack = msgpack.Packer().pack
        self._unpacker = msgpack.Unpacker(max_buffer_size=MOST_BYTES)

    def data_received(self, data: bytes) -> None:
        self._unpacker.feed(data)
        replies = [self._pack((1, number, None, params[0])) for _, number, _, params in self._unpacker]
        self._transport.write(b"".join(replies))


def serve_asyncio() -> None:
    """Echo with an asyncio protocol."""
    asyncio.run(_serve())


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_EchoProtocol, "127.0.0.1", 0, backlog=128)
    print(f"listening on {Address(*server.sockets[0].getsockname())}", flush=True)
    await server.serve_forever()


class _ClientProtocol(_EchoProtocol):
    """Pairs replies with futures by their ids; writes once in a turn of the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._futures: dict[int, asyncio.Future[Any]] = {}
        self._unsent: list[bytes] = []

    def echo(self, value: Any) -> asyncio.Future[Any]:
        """Call."""
        self._number += 1
        future = self._futures[self._number] = self._loop.create_future()
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(self._pack((0, self._number, "echo", (value,))))
        return future

    def data_received(self, data: bytes) -> None:
        self._unpacker.feed(data)
        for _, number, _, result in self._unpacker:
            self._futures.pop(number).set_result(result)

    def _flush(self) -> None:
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()


@asynccontextmanager
async def asyncio_client(address: Address) -> AsyncIterator[Callable[[Any], Awaitable[Any]]]:
    """Call with futures."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(_ClientProtocol, *address.pair)
    yield protocol.echo
    transport.close()


@contextmanager
def msgpack_client(address: Address) -> Iterator[Echo]:
    """Call with a blocking socket."""
    import msgpack

    pack, unpacker = msgpack.Packer().pack, msgpack.Unpacker(max_buffer_size=MOST_BYTES)
    with socket.create_connection(address.pair) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def echo(value: Any) -> Any:
            connection.sendall(pack((0, 1, "echo", (value,))))
            while True:
                unpacker.feed(connection.recv(2**18))
                for reply in unpacker:
                    return reply[3]

        yield echo
