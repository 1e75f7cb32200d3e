"""Step 2.7. One call to many servers: the first answer, or what most of them say.

Usage: python multicast.py REGISTRY HOW TIMEOUT_S NAME=HOST:PORT...

HOW is first or majority. The registry says which of the servers belong to the group; what is called is
"ledger.balance" of each.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from channel import Channel, Message, address_of
from client_stub import Client
from failures import NoReply

Channels = Mapping[str, Channel]


class NoMajority(Exception):
    """No value came from more than half of the servers that were asked."""


def ask_all(channels: Channels, method: str, timeout_s: float) -> Iterator[tuple[str, Message]]:
    """Send one request to every server, then yield (server, response) as they come, one for each server.

    Ends when all have answered, or `timeout_s` after the request.
    """
    # TODO step 2.7: send to all, and only then receive; each server counts once
    raise NotImplementedError("lab 2, step 2.7")


def first(channels: Channels, method: str, timeout_s: float) -> Any:
    """The result of whichever server answers first. A server whose answer is an error has no result.

    Raises:
        NoReply: No result came in time.
    """
    # TODO step 2.7: the first response without an error
    raise NotImplementedError("lab 2, step 2.7")


def majority(channels: Channels, method: str, timeout_s: float) -> Any:
    """The result that more than half of all servers give, the silent ones included in the count.

    Does not wait for those that cannot change it any more. An error is no vote.

    Raises:
        NoMajority: There is none, or there can be none any more.
    """
    # TODO step 2.7: count the results: more than half of all is enough. When is it hopeless?
    raise NotImplementedError("lab 2, step 2.7")


def main() -> None:
    """Ask the group for its balance, and print it."""
    registry, how, timeout_s, *hosts = sys.argv[1:]
    addresses = dict(host.split("=") for host in hosts)
    members = Client(Channel(address_of(registry)), timeout_s=5.0).call("registry.members", "ledger")
    group = {name: Channel(address_of(addresses[name])) for name in members}
    ask = {"first": first, "majority": majority}[how]
    try:
        print(ask(group, "ledger.balance", float(timeout_s)))
    except (NoReply, NoMajority) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
