"""The registry (binder): where is the server of that name?

A server registers its address under a name; a client looks the name up, and then calls the server itself. So
clients need to know one address only, and a server may move. The registry is a service like any other::

    python -m dslab.rpc registry --bind 127.0.0.1:7100
    python -m dslab.rpc server --object bank.py:Bank --register bank --registry 127.0.0.1:7100

A server that crashed does not say goodbye. So an entry is good for a lease only, and its server renews it
(`Registration`); an entry whose lease has ended is not found. A name may have several servers: `lookup` gives
them in the order of registration, and a client takes the first that answers.

Source: ch. 4, Remote procedure call (binding a client to a server); ch. 6, Naming, for what this grows into.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self, Unpack

from dslab.kit.address import Address
from dslab.kit.errors import PeerError
from dslab.rpc.client import Client, connect
from dslab.rpc.errors import NoSuchMethod
from dslab.rpc.settings import Options, where

DEFAULT_LEASE_S = 10.0
MAX_ENTRIES = 10_000


class NoSuchService(NoSuchMethod):
    """Nobody is registered under that name."""


class Registry:
    """The registry's object. All its methods may be repeated without harm (idempotent).

    Args:
        clock: Gives the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, str], float] = {}  # (name, address): when its lease ends

    def register(self, name: str, address: str, lease_s: float = DEFAULT_LEASE_S) -> float:
        """Take note that a server of that name is at an address, for so long: gives the same."""
        where(address)  # raises where it is none
        self._sweep()
        if len(self._entries) >= MAX_ENTRIES and (name, address) not in self._entries:
            raise MemoryError(f"{MAX_ENTRIES} servers are registered already.")
        self._entries[name, address] = self._clock() + lease_s
        return lease_s

    def unregister(self, name: str, address: str) -> bool:
        """Forget a server: was it known?"""
        return self._entries.pop((name, address), None) is not None

    def lookup(self, name: str) -> list[str]:
        """Give the addresses of the servers of that name."""
        self._sweep()
        return [address for known, address in self._entries if known == name]

    def names(self) -> list[str]:
        """Give every name that somebody is registered under."""
        self._sweep()
        return sorted({name for name, _ in self._entries})

    def _sweep(self) -> None:
        now_s = self._clock()
        for entry in [each for each, ends_s in self._entries.items() if ends_s <= now_s]:
            del self._entries[entry]


class Registration:
    """Keeps a server registered, by a thread that renews the lease. A context manager.

    A registry that does not answer is asked again; meanwhile the server goes on.
    """

    def __init__(
        self, registry: Address | str, name: str, address: Address, lease_s: float = DEFAULT_LEASE_S
    ) -> None:
        self._registry = where(registry)
        self._entry = name, str(address)
        self._lease_s = lease_s
        self._ending = Event()
        self._call("register", *self._entry, lease_s)
        self._thread = Thread(target=self._renew, name=f"registration of {name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye. If the registry does not hear it, the lease ends by itself."""
        self._ending.set()
        self._thread.join()
        with suppress(PeerError):
            self._call("unregister", *self._entry)

    def _renew(self) -> None:
        while not self._ending.wait(self._lease_s / 3):
            with suppress(PeerError):
                self._call("register", *self._entry, self._lease_s)

    def _call(self, method: str, *arguments: Any) -> Any:
        with connect(
            self._registry, timeout_s=max(0.1, self._lease_s / 3), semantics="at-least-once"
        ) as client:
            return client.call(method, *arguments)


def lookup(registry: Address | str, name: str) -> list[Address]:
    """Ask a registry for the servers of a name."""
    with connect(registry, semantics="at-least-once") as client:
        return [Address.parse(address) for address in client.call("lookup", name)]


def connect_by_name(registry: Address | str, name: str, **options: Unpack[Options]) -> Client:
    """Connect to a server of a name: to the first that answers.

    Raises:
        NoSuchService: Nobody is registered under that name.
        PeerError: Nobody who is could be reached; why not the last.
    """
    addresses = lookup(registry, name)
    for address in addresses[:-1]:
        with suppress(PeerError):
            return connect(address, **options)
    if not addresses:
        raise NoSuchService(f"Nobody is registered as {name!r} at {registry}.")
    return connect(addresses[-1], **options)
