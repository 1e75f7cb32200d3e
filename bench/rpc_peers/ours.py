"""dslab.rpc: two of its servers, as ``python -m dslab.rpc server`` starts them, and two of its clients."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from bench.rpc_peers.drive import Echo, EchoAll
from dslab.kit.address import Address
from dslab.rpc.codecs import codec_named
from dslab.rpc.service import Service

ANYWHERE = Address("127.0.0.1", 0)


def echo(value: Any) -> Any:
    """Give it back."""
    return value


def serve() -> None:
    """Serve on asyncio's own loop."""
    asyncio.run(_serve())


def serve_uvloop() -> None:
    """Serve on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())


def serve_threads() -> None:
    """Serve with a thread for each connection."""
    from dslab.rpc.server_threads import serve

    serve(ANYWHERE, _service())


async def _serve() -> None:
    from dslab.rpc.server import serve

    await serve(ANYWHERE, _service())


def _service() -> Service:
    service = Service(codec_named("msgpack"), random.getrandbits(62))
    service.objects.register(echo)
    return service


@contextmanager
def client(address: Address, **options: Any) -> Iterator[tuple[Echo, EchoAll]]:
    """Call with the blocking client; several at once as deferred synchronous calls, in a batch."""
    from dslab.rpc.client import connect

    with connect(address, **options) as caller:
        proxy = caller.proxy()

        def echo_all(values: Sequence[Any]) -> Callable[[], list[Any]]:
            with caller.batch():
                begun = [caller.begin("echo", value) for value in values]
            return lambda: [call.result() for call in begun]

        yield proxy.echo, echo_all


@asynccontextmanager
async def asyncio_client(address: Address, **options: Any) -> AsyncIterator[Callable[[Any], Awaitable[Any]]]:
    """Call with the asyncio client."""
    from dslab.rpc.aclient import connect

    async with await connect(address, **options) as caller:
        yield caller.proxy().echo
