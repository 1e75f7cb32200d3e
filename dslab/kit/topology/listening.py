"""Who listens where, read from the process table.

Never by connecting: a probe would eat the one ``accept`` of an iterative server.

``python -m dslab.kit.topology.listening 7000 7001/udp`` exits with 0 if all of these are listened on in this
machine, or this container: a healthcheck for compose files.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dslab.kit.address import Address
from dslab.kit.topology import sockdiag
from dslab.kit.topology.spec import Port, Transport

ANY = frozenset({"0.0.0.0", "::"})
MAPPED = "::ffff:"  # an IPv4 address in an IPv6 socket


@dataclass(frozen=True, slots=True)
class Listener:
    """Somebody listens there: a TCP socket in LISTEN, or a bound UDP socket."""

    address: Address
    transport: Transport

    def serves(self, host: str, port: Port) -> bool:
        """Whether who sends to that port of that host reaches it."""
        own = self.address.host.removeprefix(MAPPED)
        return (own == host or own in ANY) and Port(self.address.port, self.transport) == port

    def __str__(self) -> str:
        return f"{self.address}/{self.transport}"


def everybody() -> set[Listener] | None:
    """Where anybody of this machine, or of this container, listens, whoever it is.

    Returns:
        None where not everybody can be looked at: on macOS, without the superuser's rights.
    """
    try:
        return {_listener(one) for one in sockdiag.waiting_sockets()}
    except OSError:
        import psutil

        with suppress(psutil.AccessDenied):
            return _listeners(psutil.net_connections("inet"))
        return None


def listeners(pids: Iterable[int]) -> set[Listener]:
    """What those processes listen on. Who is gone, or not ours to look at, listens nowhere."""
    try:
        waiting = {one.inode: _listener(one) for one in sockdiag.waiting_sockets()}
    except OSError:
        return _listeners_of_psutil(pids)
    return {waiting[inode] for pid in pids for inode in sockdiag.inodes(pid) & waiting.keys()}


def _listener(one: sockdiag.WaitingSocket) -> Listener:
    return Listener(Address(one.host, one.port), "tcp" if one.is_tcp else "udp")


def _listeners_of_psutil(pids: Iterable[int]) -> set[Listener]:
    import psutil

    found: set[Listener] = set()
    for pid in pids:
        with suppress(psutil.Error):
            found |= _listeners(psutil.Process(pid).net_connections("inet"))
    return found


def _listeners(connections: Iterable[Any]) -> set[Listener]:
    import psutil

    return {
        Listener(Address(*one.laddr), "tcp" if one.type == socket.SOCK_STREAM else "udp")
        for one in connections
        if one.laddr and (one.status == psutil.CONN_LISTEN or _is_bound(one))
    }


def _is_bound(connection: Any) -> bool:
    return connection.type == socket.SOCK_DGRAM and not connection.raddr


def main(ports: Collection[str]) -> int:
    """Exit with 0 if all of these ports are listened on."""
    seen = everybody()
    if seen is None:
        print("listening: only the superuser can see who listens on this system", file=sys.stderr)  # noqa: T201
        return 2
    listened = {f"{one.address.port}/{one.transport}" for one in seen}
    return 0 if {port if "/" in port else f"{port}/tcp" for port in ports} <= listened else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
