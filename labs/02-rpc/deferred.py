"""Step 2.6. Calls that do not wait: deferred synchronous, and one-way.

Usage: python deferred.py HOST:PORT CALLS HOW TIMEOUT_S

CALLS is as for `client_stub.py`. HOW is one-way, or deferred: then all calls are begun first, and their
results are fetched afterwards, the last one first.
"""

import json
import sys
from pathlib import Path
from typing import Any

from channel import Channel, Message, address_of
from client_stub import Client, result_of


class DeferringClient(Client):
    """Has many calls under way.

    Attributes:
        responses: Those that have come and were not fetched yet, by their ids.
    """

    def __init__(self, channel: Channel, timeout_s: float) -> None:
        super().__init__(channel, timeout_s)
        self.responses: dict[int, Message] = {}

    def begin(self, method: str, *params: Any) -> int:
        """Send a request and wait for nothing: its id, by which `fetch` finds the result."""
        # TODO step 2.6: send it; return the id
        raise NotImplementedError("lab 2, step 2.6")

    def fetch(self, number: int) -> Any:
        """The result of a call that was begun; waits for it if need be. Raises as `call` does."""
        return result_of(self.response_to(number))

    def response_to(self, number: int) -> Message:
        """The response to the request of that id; waits for it, `timeout_s` at most.

        Responses come in any order. One that is for another call is kept for it.

        Raises:
            NoReply: It did not come in time.
        """
        # TODO step 2.6: receive until the response of that id is there; keep the others
        raise NotImplementedError("lab 2, step 2.6")

    def notify(self, method: str, *params: Any) -> None:
        """Call one-way: a message without an id, ``[NOTIFICATION, method, params]``. There is no response."""
        # TODO step 2.6: send it: that is all
        raise NotImplementedError("lab 2, step 2.6")


def main() -> None:
    """Make the calls of the script on the command line."""
    address, script, how, timeout_s = sys.argv[1:]
    client = DeferringClient(Channel(address_of(address)), float(timeout_s))
    orders = [json.loads(line) for line in Path(script).read_text(encoding="utf-8").splitlines()]
    if how == "one-way":
        for order in orders:
            client.notify(order["call"], *order["with"])
        return
    begun = [client.begin(order["call"], *order["with"]) for order in orders]
    print(f"{len(begun)} calls are under way", flush=True)
    for number in reversed(begun):
        print(client.fetch(number), flush=True)


if __name__ == "__main__":
    main()
