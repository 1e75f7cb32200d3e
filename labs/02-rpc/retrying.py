"""Step 2.4. Clients that try again: at-least-once, and at-most-once.

Usage: python retrying.py HOST:PORT CALLS SEMANTICS TIMEOUT_S TRIES

SEMANTICS is at-least-once or at-most-once; CALLS is as for `client_stub.py`.
"""

import sys
from pathlib import Path
from typing import Any

import failures
from channel import Channel, Message, address_of
from client_stub import Client, run_script


class AtLeastOnce(Client):
    """Sends a request again while no response comes, `tries` times in all.

    Attributes:
        tries: How often a request is sent before it is given up.
    """

    def __init__(self, channel: Channel, timeout_s: float, tries: int) -> None:
        super().__init__(channel, timeout_s)
        self.tries = tries

    def exchange(self, request: Message) -> Message:
        """Send a request, and again every `timeout_s`, until its response is there.

        Raises:
            NoReply: None came within `timeout_s` after the last of `tries` transmissions.
        """
        # TODO step 2.4: as in step 2.2, but several times: always the same request
        raise NotImplementedError("lab 2, step 2.4")


class AtMostOnce(AtLeastOnce):
    """Gives every call an identity, by which the server recognizes copies.

    Attributes:
        session: Its session at the server; 0 as long as it has none.
        number: The number of its last call.
    """

    session = 0
    number = 0

    def call(self, method: str, *params: Any) -> Any:
        """Call as any client does. A session that the server has lost is not used again."""
        try:
            return super().call(method, *params)
        except failures.SessionLost:
            self.session = 0
            raise

    def identified(self, request: Message) -> Message:
        """The request with one element more: ``[session, number, acknowledged]``.

        The session comes from the server, once: the first element of what "rpc.hello" gives. Calls are made
        one after the other, so with each call all that were before it are acknowledged.
        """
        # TODO step 2.4: open a session if there is none; then the next number
        raise NotImplementedError("lab 2, step 2.4")


def client_of(address: str, semantics: str, timeout_s: float, tries: int) -> AtLeastOnce:
    """A client of those semantics."""
    kind = {"at-least-once": AtLeastOnce, "at-most-once": AtMostOnce}[semantics]
    return kind(Channel(address_of(address)), timeout_s, tries)


def main() -> None:
    """Make the calls of the script on the command line."""
    address, script, semantics, timeout_s, tries = sys.argv[1:]
    run_script(client_of(address, semantics, float(timeout_s), int(tries)), Path(script))


if __name__ == "__main__":
    main()
