"""Step 2.7, with one socket for all servers, which knows them by their addresses."""

import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from channel import Channel, address_of
from client_stub import Client

Address = tuple[str, int]


def answers(group: set[Address], method: str, deadline_s: float) -> Iterator[list[Any]]:
    """The responses, one for each server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as everybody:
        for address in group:
            everybody.sendto(msgspec.msgpack.encode([0, 5, method, []]), address)
        while group and (left_s := deadline_s - time.monotonic()) > 0:
            everybody.settimeout(left_s)
            try:
                datagram, address = everybody.recvfrom(65_535)
            except TimeoutError:
                return
            if address in group:
                group.remove(address)
                yield msgspec.msgpack.decode(datagram)


def main() -> None:
    """Ask, count, print."""
    registry, how, timeout_s, *hosts = sys.argv[1:]
    where = dict(host.split("=") for host in hosts)
    names = Client(Channel(address_of(registry)), 5.0).call("registry.members", "ledger")
    group = {resolved(where[name]) for name in names}
    needed = 1 if how == "first" else len(group) // 2 + 1
    seen: list[Any] = []
    to_come = len(group)
    for _, _, error, balance in answers(group, "ledger.balance", time.monotonic() + float(timeout_s)):
        to_come -= 1
        if error is None:
            seen.append(balance)
            if seen.count(balance) >= needed:
                print(balance)
                return
        if all(seen.count(each) + to_come < needed for each in [*seen, object()]):
            break
    sys.exit(f"{'NoReply' if how == 'first' else 'NoMajority'}: {seen}")


def resolved(text: str) -> Address:
    """The address as datagrams bear it."""
    host, port = address_of(text)
    return socket.gethostbyname(host), port


if __name__ == "__main__":
    main()
