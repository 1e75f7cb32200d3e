"""RPyC; its server has a thread for each connection. rpyc.readthedocs.io."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench.rpc_peers.drive import Echo
from dslab.kit.address import Address


def serve() -> None:
    """Echo."""
    import rpyc
    from rpyc.utils.server import ThreadedServer

    class Service(rpyc.Service):  # type: ignore[misc]
        def exposed_echo(self, value: object) -> object:
            return value

    server = ThreadedServer(Service(), hostname="127.0.0.1", port=0)
    print(f"listening on {Address('127.0.0.1', server.port)}", flush=True)
    server.start()


@contextmanager
def client(address: Address) -> Iterator[Echo]:
    """Call through the remote root object."""
    import rpyc

    connection = rpyc.connect(*address.pair)
    try:
        yield connection.root.echo
    finally:
        connection.close()
