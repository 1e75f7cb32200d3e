"""Pyro5 with its msgpack serializer; its server is a pool of threads. pyro5.readthedocs.io."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.rpc_peers.drive import Echo
from dslab.kit.address import Address

THREADS = 128


def serve() -> None:
    """Echo."""
    import Pyro5.api

    @Pyro5.api.expose
    class Service:
        def echo(self, value: Any) -> Any:
            return value

    Pyro5.api.config.THREADPOOL_SIZE = THREADS
    with Pyro5.api.Daemon("127.0.0.1", 0) as daemon:
        daemon.register(Service(), "echo")
        print(f"listening on {daemon.locationStr}", flush=True)
        daemon.requestLoop()


@contextmanager
def client(address: Address) -> Iterator[Echo]:
    """Call through a proxy."""
    import Pyro5.api

    Pyro5.api.config.SERIALIZER = "msgpack"
    with Pyro5.api.Proxy(f"PYRO:echo@{address}") as proxy:
        yield proxy.echo
