"""Step 1.7. One request, and what its caller may conclude: did it happen?

Usage: python outcome_client.py HOST:PORT MESSAGE TIMEOUT_S

Prints one of the four outcomes.
"""

import socket
import sys

# BEGIN SOLUTION DELETE
import time

from framing import LENGTH_BYTES, send_message

# END SOLUTION

HAPPENED = "reply: happened"
REFUSED = "refused: did not happen"
TIMEOUT = "timeout: unknown"
CLOSED = "closed: unknown"


def receive_until(deadline_s: float, connection: socket.socket, size: int) -> bytes:
    """Receive exactly that many bytes, all of them before the deadline.

    Args:
        deadline_s: A time of `time.monotonic()`.
        connection: Where from.
        size: How many.

    Raises:
        TimeoutError: The deadline passed first.
        ConnectionError: The stream ended first.
    """
    # BEGIN SOLUTION step-1.7 "as receive_exactly, but wait at each recv only for what is left of the time"
    received = bytearray()
    while len(received) < size:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)  # a timeout is for one recv: what counts is the whole reply
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the server closed before it had answered")
        received += piece
    return bytes(received)
    # END SOLUTION


def attempt(address: tuple[str, int], message: bytes, timeout_s: float) -> str:
    """Make one request and return its outcome. The whole reply counts, and it has `timeout_s` to come.

    Half a reply is none: the half that is missing might be the one that says "but it failed".
    """
    # BEGIN SOLUTION step-1.7 "send the message, receive the whole reply; for each way to fail, its outcome"
    deadline_s = time.monotonic() + timeout_s
    try:
        connection = socket.create_connection(address, timeout=timeout_s)
    except OSError:
        return REFUSED  # nothing was ever sent
    with connection:
        try:
            send_message(connection, message)
            size = int.from_bytes(receive_until(deadline_s, connection, LENGTH_BYTES), "big")
            receive_until(deadline_s, connection, size)
        except TimeoutError:
            return TIMEOUT
        except ConnectionError:
            return CLOSED
    return HAPPENED
    # END SOLUTION


def main() -> None:
    """Make the request on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    print(attempt((host, int(port)), sys.argv[2].encode(), float(sys.argv[3])))


if __name__ == "__main__":
    main()
