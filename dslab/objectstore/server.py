"""The server: uvicorn around the application, with limits of its own on what a client may do to it.

Source: ch. 3, Servers (general design issues).
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
import uvloop

from dslab.kit.address import Address
from dslab.kit.descriptors import prepare_descriptors
from dslab.kit.errors import MachineError
from dslab.kit.stopping import stop_event
from dslab.objectstore.access import Rules
from dslab.objectstore.app import application
from dslab.objectstore.connection import Connection, watch
from dslab.objectstore.service import DEFAULT_DOMAIN, Service
from dslab.objectstore.store import Store

BACKLOG = 1024
STOP_WITHIN_S = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How a server serves.

    Attributes:
        data: The store's folder. Several servers may have one.
        rules: Who may do what.
        domain: Hosts under it name a bucket.
        sync: Whether what is acknowledged is on the disk.
    """

    data: Path
    rules: Rules
    domain: str = DEFAULT_DOMAIN
    sync: bool = True


def listen(address: Address) -> socket.socket:
    """Open a listening socket. Port 0 takes any free one.

    Raises:
        MachineError: The address is in use, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server(address.pair, family=family, backlog=BACKLOG)
    except OSError as error:
        reason, _, _ = str(error.strerror).partition(" (")  # create_server adds the address in its own words
        remedy = "Take another port, or port 0 for any free one."
        raise MachineError(f"Cannot listen on {address}: {reason}.", remedy=remedy) from error


def configuration(service: Service) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        application(service),
        http=Connection,
        lifespan="off",
        ws="none",
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_WITHIN_S,
    )


class _Server(uvicorn.Server):
    """uvicorn's, but signals are not its own affair, and who waits for it to listen is told."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(address: Address, options: Options) -> AsyncIterator[tuple[Address, Service]]:
    """Serve while the body of the ``with`` runs: gives where, and what.

    Raises:
        MachineError: The address cannot be had, or the folder is not a store's.
    """
    listener = listen(address)
    try:
        service = Service(_opened(options), options.rules, options.domain)
    except BaseException:
        listener.close()
        raise
    server = _Server(configuration(service))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    watching = asyncio.create_task(watch(server.server_state.connections))
    try:
        await server.listens.wait()
        yield Address(*listener.getsockname()[:2]), service
    finally:
        server.should_exit = True
        watching.cancel()
        await asyncio.gather(running, watching, return_exceptions=True)
        await asyncio.to_thread(service.close)


def _opened(options: Options) -> Store:
    try:
        return Store(options.data, sync=options.sync)
    except OSError as error:
        remedy = "Give a folder that can be written to; it is made if need be."
        raise MachineError(
            f"Cannot keep anything in {options.data}: {error.strerror}.", remedy=remedy
        ) from error


async def serve(address: Address, options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    with stop_event() as stopped:
        async with serving(address, options) as (bound, _):
            print(f"listening on {bound}", flush=True)  # noqa: T201
            await stopped.wait()


def run(address: Address, options: Options) -> None:
    """Serve in this process: the whole life of a server."""
    prepare_descriptors()  # one per client, one per open file
    gc.freeze()  # what was imported stays: the collector need not look at it again and again
    gc.enable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(address, options))
