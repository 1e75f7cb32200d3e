"""Step 2.6, with futures that a thread fulfils."""

import json
import pathlib
import sys
import threading
import time
from concurrent.futures import Future
from typing import Any

from channel import Channel, address_of
from client_stub import result_of


class Deferring:
    """Many calls under way."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.futures: list[Future[Any]] = []
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self) -> None:
        """Hand each response to its future."""
        while True:
            message = self.channel.receive(time.monotonic() + 3600)
            if message and message[0] == 1 and not self.futures[message[1]].done():
                self.futures[message[1]].set_result(message)

    def begin(self, method: str, params: list[Any]) -> Future[Any]:
        """Send a request."""
        future: Future[Any] = Future()
        self.futures.append(future)
        self.channel.send([0, len(self.futures) - 1, method, params])
        return future


address, script, how, timeout_s = sys.argv[1:]
channel = Channel(address_of(address))
orders = [json.loads(line) for line in pathlib.Path(script).read_text(encoding="utf-8").splitlines()]
if how == "one-way":
    for order in orders:
        channel.send([2, order["call"], order["with"]])
else:
    client = Deferring(channel)
    futures = [client.begin(order["call"], order["with"]) for order in orders]
    print(f"{len(futures)} calls are under way")
    for future in futures[::-1]:
        print(result_of(future.result(float(timeout_s))))
