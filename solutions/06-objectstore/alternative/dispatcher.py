"""Step 6.3, with a counter under a lock."""

import sys
from threading import Lock

from given.client import ask
from given.documents import failure
from given.messages import Request, Response
from given.server import serve

timeout_s, front_ends = float(sys.argv[2]), sys.argv[3:]
turn = 0
lock = Lock()


def forward(request: Request) -> Response:
    """Try each of them, beginning with the one whose turn it is."""
    global turn  # noqa: PLW0603
    with lock:
        turn += 1
        first = turn % len(front_ends)
    body = b"".join(request.body)
    for front_end in front_ends[first:] + front_ends[:first]:
        try:
            return ask(front_end, request.method, request.target, request.headers, body, timeout_s=timeout_s)
        except OSError as error:
            if request.method == "POST" and not isinstance(error, ConnectionRefusedError):
                return failure(502, "BadGateway")
    return failure(503, "ServiceUnavailable")


serve(sys.argv[1], forward)
