# caught by: test_half_a_response
# replaces: dispatcher.py
# What came before the connection broke is passed on as if it were the response.
import itertools
import sys
from collections.abc import Sequence

from http.client import HTTPConnection, HTTPException, IncompleteRead

from given.documents import failure

from given.messages import Request, Response
from given.server import serve

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}


def ask(front_end, method, target, headers, body, timeout_s):
    host, _, port = front_end.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=timeout_s)
    passed_on = {name: value for name, value in headers.items() if name not in {"connection", "content-length"}}
    try:
        connection.request(method, target, body, passed_on)
        response = connection.getresponse()
        try:
            data = response.read()
        except IncompleteRead as half:
            data = half.partial
    except HTTPException as error:
        raise ConnectionError from error
    finally:
        connection.close()
    left_out = {"connection"} if method == "HEAD" else {"connection", "content-length"}
    kept = {name: value for name, value in response.getheaders() if name.lower() not in left_out}
    return Response(response.status, kept, data)


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
                return ask(
                    front_end, request.method, request.target, request.headers, body, timeout_s=self.timeout_s
                )
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
