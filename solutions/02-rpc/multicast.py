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

# BEGIN SOLUTION DELETE
from messages import REQUEST, RESPONSE

# END SOLUTION

Channels = Mapping[str, Channel]


class NoMajority(Exception):
    """No value came from more than half of the servers that were asked."""


def ask_all(channels: Channels, method: str, timeout_s: float) -> Iterator[tuple[str, Message]]:
    """Send one request to every server, then yield (server, response) as they come, one for each server.

    Ends when all have answered, or `timeout_s` after the request.
    """
    # BEGIN SOLUTION step-2.7 "send to all, and only then receive; each server counts once"
    deadline_s = Channel.deadline(timeout_s)
    for channel in channels.values():
        channel.send([REQUEST, 1, method, []])
    waiting = dict(channels)
    while waiting and (arrived := Channel.receive_any(waiting, deadline_s)):
        name, message = arrived
        if message[:2] == [RESPONSE, 1]:
            del waiting[name]
            yield name, message
    # END SOLUTION


def first(channels: Channels, method: str, timeout_s: float) -> Any:
    """The result of whichever server answers first. A server whose answer is an error has no result.

    Raises:
        NoReply: No result came in time.
    """
    # BEGIN SOLUTION step-2.7 "the first response without an error"
    for _, response in ask_all(channels, method, timeout_s):
        if response[2] is None:
            return response[3]
    raise NoReply("no server had a result")
    # END SOLUTION


def majority(channels: Channels, method: str, timeout_s: float) -> Any:
    """The result that more than half of all servers give, the silent ones included in the count.

    Does not wait for those that cannot change it any more. An error is no vote.

    Raises:
        NoMajority: There is none, or there can be none any more.
    """
    # BEGIN SOLUTION step-2.7 "count the results: more than half of all is enough. When is it hopeless?"
    votes: list[Any] = []
    missing = len(channels)
    for _, response in ask_all(channels, method, timeout_s):
        missing -= 1
        if response[2] is None:
            votes.append(response[3])
            if votes.count(response[3]) > len(channels) / 2:
                return response[3]
        if missing + max(map(votes.count, votes), default=0) <= len(channels) / 2:
            break
    raise NoMajority(f"of {len(channels)} servers, {votes}")
    # END SOLUTION


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
