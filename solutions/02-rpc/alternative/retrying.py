"""Step 2.4, on the transmissions of the client stub."""

import pathlib
import sys
from typing import Any

from channel import Channel, Message, address_of
from client_stub import Client, no_reply, run_script
from failures import SessionLost


class Retrying(Client):
    """At-least-once, or at-most-once."""

    def __init__(self, channel: Channel, timeout_s: float, tries: int, once: bool) -> None:
        super().__init__(channel, timeout_s)
        self.tries, self.once = tries, once
        self.session, self.number = 0, 0

    def exchange(self, request: Message) -> Message:
        """As often as need be."""
        for _ in range(self.tries):
            if response := self.transmit(request, self.timeout_s):
                return response
        return no_reply()

    def identified(self, request: Message) -> Message:
        """The identity of a call."""
        if not self.once:
            return request
        if not self.session:
            self.session, self.number = self.exchange([0, self.next_id(), "rpc.hello", []])[3][0], 0
        self.number += 1
        return [*request, [self.session, self.number, self.number]]

    def call(self, method: str, *params: Any) -> Any:
        """A lost session is not used again."""
        try:
            return super().call(method, *params)
        except SessionLost:
            self.session = 0
            raise


def client_of(address: str, semantics: str, timeout_s: float, tries: int) -> Retrying:
    """A client."""
    return Retrying(Channel(address_of(address)), timeout_s, tries, semantics == "at-most-once")


if __name__ == "__main__":
    address, script, semantics, timeout_s, tries = sys.argv[1:]
    run_script(client_of(address, semantics, float(timeout_s), int(tries)), pathlib.Path(script))
