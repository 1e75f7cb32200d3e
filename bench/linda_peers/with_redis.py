"""Redis through redis-py: lists, and no matching at all. redis.io, redis.readthedocs.io."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from bench.harness import peers
from dslab.kit.address import Address

NEEDS = peers.Needs(("redis",), ("redis-server",), f"{peers.EXTRA}, and install redis-server")
ONLY_IN_MEMORY = ("--save", "", "--appendonly", "no")


@contextmanager
def running() -> Iterator[tuple[Any, Address]]:
    """Start a server: gives a client of it, and its address."""
    import redis

    address = peers.free_address()
    where = ("--bind", address.host, "--port", str(address.port))
    with (
        peers.server_at(["redis-server", *where, *ONLY_IN_MEMORY], address),
        closing(redis.Redis(*address.pair)) as client,
    ):
        yield client, address


def ping(client: Any) -> Callable[[int], object]:
    """Give what puts a ping and takes its pong."""

    def exchange(trip: int) -> None:
        client.rpush("ping", trip)
        client.blpop("pong")

    return exchange


def be_pong(words: Sequence[str]) -> None:
    """Take pings, and put pongs."""
    import redis

    peers.end_with_parent()
    address, trips = words
    with closing(redis.Redis(*Address.parse(address).pair)) as client:
        for trip in range(int(trips)):
            client.blpop("ping")
            client.rpush("pong", trip)
