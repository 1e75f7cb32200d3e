# caught by: test_killed_in_mid_session, test_not_idempotent, test_round_and_round
# replaces: dispatcher.py
# A front end that has failed once is never asked again, until none is left.
import itertools
import sys
from collections.abc import Sequence

from given.client import ask
from given.documents import failure

from given.messages import Request, Response
from given.server import serve

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}


class Dispatcher:

    def __init__(self, front_ends: Sequence[str], timeout_s: float) -> None:
        self.alive = list(front_ends)
        self.timeout_s = timeout_s
        self._turns = itertools.count()

    def next_front_end(self) -> str:
        return self.alive[next(self._turns) % len(self.alive)]

    def forward(self, request: Request) -> Response:
        body = b"".join(request.body)
        while self.alive:
            front_end = self.next_front_end()
            try:
                return ask(
                    front_end, request.method, request.target, request.headers, body, timeout_s=self.timeout_s
                )
            except ConnectionRefusedError:
                self.alive.remove(front_end)
            except (ConnectionError, TimeoutError):
                self.alive.remove(front_end)
                if request.method not in IDEMPOTENT:
                    return failure(502, "BadGateway")
        return failure(503, "ServiceUnavailable")


def main() -> None:
    address, timeout_s, *front_ends = sys.argv[1:]
    print(f"dispatching at {address}", flush=True)
    serve(address, Dispatcher(front_ends, float(timeout_s)).forward)


if __name__ == "__main__":
    main()
