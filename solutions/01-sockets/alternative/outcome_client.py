"""Step 1.7, with a connection that is not blocking and one deadline."""

import selectors
import socket
import sys
import time

from framing import Splitter, pack


def attempt(address: tuple[str, int], message: bytes, timeout_s: float) -> str:
    """One request, and what may be concluded."""
    deadline_s = time.monotonic() + timeout_s
    try:
        connection = socket.create_connection(address, timeout_s)
    except OSError:
        return "refused: did not happen"
    splitter = Splitter()
    with connection, selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        try:
            connection.sendall(pack(message))
            while selector.select(max(0.0, deadline_s - time.monotonic())):
                piece = connection.recv(4096)
                if not piece:
                    return "closed: unknown"
                if splitter.feed(piece):
                    return "reply: happened"
        except ConnectionError:
            return "closed: unknown"
        except TimeoutError:
            pass
    return "timeout: unknown"


host, port = sys.argv[1].split(":")
print(attempt((host, int(port)), sys.argv[2].encode(), float(sys.argv[3])))
