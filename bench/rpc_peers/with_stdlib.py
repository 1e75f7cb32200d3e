"""What comes with Python: ``xmlrpc`` and ``multiprocessing``'s managers, each with a thread per connection.

Managers write with pickle, which nobody should read from strangers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.managers import BaseManager
from socketserver import ThreadingMixIn
from typing import Any
from xmlrpc.client import Binary, ServerProxy
from xmlrpc.server import SimpleXMLRPCServer

from bench.rpc_peers.drive import Echo
from dslab.kit.address import Address

AUTHKEY = b"bench"


class _XmlServer(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True
    request_queue_size = 128


def serve_xmlrpc() -> None:
    """Echo by XML over HTTP."""
    server = _XmlServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(lambda value: value, "echo")
    host, port = server.server_address[:2]
    print(f"listening on {Address(str(host), port)}", flush=True)
    server.serve_forever()


@contextmanager
def xmlrpc_client(address: Address) -> Iterator[Echo]:
    """Call through a proxy. Bytes travel as Base64."""
    with ServerProxy(f"http://{address}") as proxy:

        def echo(value: Any) -> Any:
            result: Any = proxy.echo(value)
            return result.data if isinstance(result, Binary) else result

        yield echo


class _Service:
    def echo(self, value: Any) -> Any:
        return value


class _Manager(BaseManager):
    pass


_Manager.register("service", _Service, exposed=["echo"])


def serve_manager() -> None:
    """Echo by a manager."""
    manager = _Manager(("127.0.0.1", 0), AUTHKEY)
    server = manager.get_server()
    address: Any = server.address  # it could be a path as well
    print(f"listening on {Address(*address)}", flush=True)
    server.serve_forever()


@contextmanager
def manager_client(address: Address) -> Iterator[Echo]:
    """Call through a manager's proxy, which makes a connection for each thread that uses it."""
    yield _service(address).echo


@cache
def _service(address: Address) -> Any:
    manager = _Manager(address.pair, AUTHKEY)
    manager.connect()
    return manager.service()  # type: ignore[attr-defined]
