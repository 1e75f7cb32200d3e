"""`dslab.linda`: its server as one starts it by hand, its blocking client; and a store that only looks."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvloop

import dslab.linda.rendezvous
from bench.harness import peers
from dslab.kit.address import Address
from dslab.linda.client import Client, connect
from dslab.linda.messages import UNIVERSE, In, encode
from dslab.linda.server import Options, serve
from dslab.linda.store import Store
from dslab.linda.table import Table
from dslab.linda.values import Fields

SERVER = (sys.executable, "-m", "dslab.linda", "server", "--bind", "127.0.0.1:0")
FILL_S = 120.0


@contextmanager
def running(command: Sequence[str] = SERVER) -> Iterator[tuple[Client, peers.Server]]:
    """Start a server: gives a client of it too."""
    with peers.server(command) as server, connect(server.address, timeout_s=FILL_S) as client:
        yield client, server


def stored(number: int) -> Fields:
    """One of the tuples that spaces are filled with."""
    return ("task", number, f"value-{number}")


@contextmanager
def crowd(client: Client, size: int) -> Iterator[None]:
    """Let so many takers wait for what nobody puts, all on a connection of their own."""
    with client.again() as blocked:
        requests = [In(blocked.next_request(), UNIVERSE, ("never", n, "x")) for n in range(size)]
        blocked.send(b"".join(map(encode, requests)))
        blocked.universe.count(("never",))  # is answered after all of them have been heard
        yield


def ping(client: Client) -> Callable[[int], object]:
    """Give what puts a ping and takes its pong."""
    space = client.universe

    def exchange(trip: int) -> None:
        space.out(("ping", trip))
        space.in_(("pong", trip))

    return exchange


def be_pong(words: Sequence[str]) -> None:
    """Take pings, and put pongs."""
    peers.end_with_parent()
    address, trips = words
    with connect(address) as client:
        for trip in range(int(trips)):
            client.universe.in_(("ping", trip))
            client.universe.out(("pong", trip))


class ScanStore(Store):
    """A store that finds a tuple by looking at all of them."""

    def find(self, space: int, pattern: Any) -> tuple[Table, int] | None:
        """Look at tuple after tuple."""
        for table in self.tables(space, pattern):
            for number, fields in table.rows.items():
                if pattern.accepts(fields):
                    return table, number
        return None


def be_scan(words: Sequence[str]) -> None:
    """Be a server with such a store."""
    peers.end_with_parent()
    dslab.linda.rendezvous.Store = ScanStore  # type: ignore[attr-defined]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Address("127.0.0.1", 0), Options()))
