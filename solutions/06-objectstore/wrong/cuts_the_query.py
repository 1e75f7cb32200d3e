# caught by: test_passed_on
# replaces: dispatcher.py
# The target is put together anew from bucket and key, and what stood behind them is forgotten.
import itertools
import sys
from urllib.parse import quote
from collections.abc import Sequence

from given.client import ask
from given.documents import failure

from given.messages import Request, Response
from given.server import serve

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}


class Dispatcher:

    def __init__(self, front_ends: Sequence[str], timeout_s: float) -> None:
        self.front_ends = front_ends
        self.timeout_s = timeout_s
        self._turns = itertools.cycle(front_ends)

    def next_front_end(self) -> str:
        return next(self._turns)  # one step of the interpreter: no two threads get the same turn

    def forward(self, request: Request) -> Response:
        body = b"".join(request.body)
        first = self.front_ends.index(self.next_front_end())  # one turn: the next may be another request's
        for front_end in [*self.front_ends[first:], *self.front_ends[:first]]:
            try:
                path = f"/{quote(request.bucket)}/{quote(request.key)}".removesuffix("/")
                return ask(front_end, request.method, path, request.headers, body, timeout_s=self.timeout_s)
            except ConnectionRefusedError:
                pass  # it has not happened
            except (ConnectionError, TimeoutError):
                if request.method not in IDEMPOTENT:
                    return failure(502, "BadGateway")
        return failure(503, "ServiceUnavailable")


def main() -> None:
    address, timeout_s, *front_ends = sys.argv[1:]
    print(f"dispatching at {address}", flush=True)
    serve(address, Dispatcher(front_ends, float(timeout_s)).forward)


if __name__ == "__main__":
    main()
