"""Step 6.3. One address for several front ends: each request goes to the next one, round and round.

Usage: python dispatcher.py HOST:PORT TIMEOUT_S FRONT_END FRONT_END ...

A front end that has said nothing for TIMEOUT_S is as good as dead.
"""

import itertools
import sys
from collections.abc import Sequence

# BEGIN SOLUTION DELETE
from given.client import ask
from given.documents import failure

# END SOLUTION
from given.messages import Request, Response
from given.server import serve

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}
"""Doing these twice is as good as doing them once."""


class Dispatcher:
    """Passes requests on to front ends that are all alike."""

    def __init__(self, front_ends: Sequence[str], timeout_s: float) -> None:
        self.front_ends = front_ends
        self.timeout_s = timeout_s
        self._turns = itertools.cycle(front_ends)

    def next_front_end(self) -> str:
        """Whose turn it is. Every call is a turn, and all requests that are under way share them."""
        return next(self._turns)  # one step of the interpreter: no two threads get the same turn

    def forward(self, request: Request) -> Response:
        """Have a request answered by the front end whose turn it is.

        If that one fails, by the next; each is tried once at most. If none can, 503 ServiceUnavailable.
        A request that is not idempotent and may have been done must not be sent again: 502 BadGateway.

        To fail is to give no whole response. Any response is one, also a 500: it is passed on as it is, with
        all that it says, as the request was.
        """
        # BEGIN SOLUTION step-6.3 "ask whose turn it is; if that fails, the next one, unless that is unsafe"
        body = b"".join(request.body)
        first = self.front_ends.index(self.next_front_end())  # one turn: the next may be another request's
        for front_end in [*self.front_ends[first:], *self.front_ends[:first]]:
            try:
                return ask(
                    front_end, request.method, request.target, request.headers, body, timeout_s=self.timeout_s
                )
            except ConnectionRefusedError:
                pass  # it has not happened
            except (ConnectionError, TimeoutError):
                if request.method not in IDEMPOTENT:
                    return failure(502, "BadGateway")
        return failure(503, "ServiceUnavailable")
        # END SOLUTION


def main() -> None:
    """Dispatch at the address on the command line."""
    address, timeout_s, *front_ends = sys.argv[1:]
    print(f"dispatching at {address}", flush=True)
    serve(address, Dispatcher(front_ends, float(timeout_s)).forward)


if __name__ == "__main__":
    main()
