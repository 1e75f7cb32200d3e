"""gRPC, as a thread pool and as asyncio. grpc.io.

A method is served by generic handlers, and its arguments, a list, are written by msgspec's MessagePack. That
is faster than the classes that protobuf generates, so that what is measured is gRPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec.msgpack

from bench.rpc_peers.drive import Echo
from dslab.kit.address import Address

SERVICE, METHOD = "bench.Echo", "echo"
THREADS = 64

_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


def _write(value: Any) -> bytes:
    return _encode((value,))


def _read(data: bytes) -> Any:
    return _decode(data)[0]


def _handlers(behaviour: Callable[..., Any]) -> Any:
    import grpc

    handler = grpc.unary_unary_rpc_method_handler(behaviour, _decode, _encode)
    return grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})


def serve_threads() -> None:
    """Echo with a pool of threads."""
    import grpc

    server = grpc.server(ThreadPoolExecutor(THREADS))
    server.add_generic_rpc_handlers((_handlers(lambda value, _: value),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on {Address('127.0.0.1', port)}", flush=True)
    server.wait_for_termination()


def serve_asyncio() -> None:
    """Echo with asyncio."""
    asyncio.run(_serve_asyncio())


async def _serve_asyncio() -> None:
    import grpc.aio

    async def echo(value: Any, _: object) -> Any:
        return value

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_handlers(echo),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on {Address('127.0.0.1', port)}", flush=True)
    await server.wait_for_termination()


@contextmanager
def client(address: Address) -> Iterator[Echo]:
    """Call with the blocking client."""
    import grpc

    with grpc.insecure_channel(str(address)) as channel:
        yield channel.unary_unary(f"/{SERVICE}/{METHOD}", _write, _read)


@asynccontextmanager
async def asyncio_client(address: Address) -> AsyncIterator[Callable[[Any], Awaitable[Any]]]:
    """Call with the asyncio client."""
    import grpc.aio

    async with grpc.aio.insecure_channel(str(address)) as channel:
        yield channel.unary_unary(f"/{SERVICE}/{METHOD}", _write, _read)
