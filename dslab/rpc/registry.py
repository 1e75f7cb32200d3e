"""The registry (binder): where is the server of that name?

A server registers its address under a name; a client looks the name up, and then calls the server itself. So
clients need to know one address only, and a server may move. The registry is a service like any other::

    python -m dslab.rpc registry --bind 127.0.0.1:7100
    python -m dslab.rpc server --object bank.py:Bank --register bank --registry 127.0.0.1:7100

A server that crashed does not say goodbye. So an entry is good for a lease only, and its server renews it
(`Registration`); an entry whose lease has ended is not found. A name may have several servers: `lookup` gives
them in the order of registration, and a client takes the first that answers.

A server that listens on every interface of its machine registers the address of the one that faces the
registry (`seen_from`). If others have to call another one, say so: ``--advertise``.

Source: ch. 4, Remote procedure call (binding a client to a server); ch. 6, Naming, for what this grows into.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from math import inf
from threading import Event, Thread
from types import TracebackType
from typing import Any, Final, Self, Unpack

from dslab.kit.address import Address
from dslab.kit.errors import PeerError, PeerRefused
from dslab.rpc.client import Client, connect
from dslab.rpc.errors import NoSuchMethod
from dslab.rpc.service import complain
from dslab.rpc.settings import Options, where

DEFAULT_LEASE_S = 10.0
LEAST_PATIENCE_S = 3.0
"""How long a registry may take to answer, however short the lease: it may have no turn for a while."""

MAX_ENTRIES = 10_000
EVERY_INTERFACE: Final = frozenset({"0.0.0.0", "::"})


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
        """Take note that a server of that name is at an address, for so long: gives the same.

        Raises:
            TypeError: That is no text, no address, no number of seconds.
            ValueError: The lease would have no end, or no beginning.
            UsageError: The address is none.
        """
        if not (isinstance(name, str) and isinstance(address, str)):
            raise TypeError("A name is a text, and an address, too.")
        if not 0 < lease_s < inf:  # nor is NaN
            raise ValueError(f"A lease cannot be {lease_s} s long.")
        Address.parse(address)
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

    Whatever comes in the way of a renewal is said on stderr, and it is tried again; meanwhile the server goes
    on.

    Args:
        registry: Where to register.
        name: By what name.
        address: Where the server is. Of one that listens everywhere, what the registry sees.
        lease_s: How long the registry is to believe it without hearing anything.

    Attributes:
        address: Where the registry says that the server is.

    Raises:
        PeerError: The registry cannot be reached now.
    """

    def __init__(
        self, registry: Address | str, name: str, address: Address, lease_s: float = DEFAULT_LEASE_S
    ) -> None:
        self._registry = where(registry)
        self.address = seen_from(self._registry, address)
        self._entry = name, str(self.address)
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
        with suppress(PeerError, OSError):
            self._call("unregister", *self._entry)

    def _renew(self) -> None:
        while not self._ending.wait(self._lease_s / 3):
            try:
                self._call("register", *self._entry, self._lease_s)
            except Exception as error:  # noqa: BLE001  no descriptor left, a full registry ... not for ever
                complain(self._thread.name, error)

    def _call(self, method: str, *arguments: Any) -> Any:
        patience_s = max(LEAST_PATIENCE_S, self._lease_s / 3)
        with connect(self._registry, timeout_s=patience_s, semantics="at-least-once") as client:
            return client.call(method, *arguments)


def seen_from(registry: Address, address: Address) -> Address:
    """Give the address at which others find who listens on every interface: on the way to the registry.

    Raises:
        PeerRefused: There is no way there.
    """
    if address.host not in EVERY_INTERFACE:
        return address
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(registry.pair)  # sends nothing: the kernel chooses an interface
            return Address(probe.getsockname()[0], address.port)
    except OSError as error:
        remedy = "Say where others find the server: --advertise HOST:PORT."
        raise PeerRefused(f"There is no way to {registry}: {error.strerror}.", remedy=remedy) from error


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
