"""Steps 1.4 and 1.5. The message server for many clients at once, and for clients that misbehave.

Usage: python concurrent_server.py HOST:PORT
"""

import socket
import sys


def attend(connection: socket.socket) -> None:
    """Answer one client until it closes or breaks, and leave nothing of it behind (step 1.5)."""
    # TODO step 1.4: answer this client's messages, then close; step 1.5: whatever the client does
    raise NotImplementedError("lab 1, step 1.4")


def serve(address: tuple[str, int]) -> None:
    """Attend to every client that comes, all at the same time."""
    # TODO step 1.4: listen; accept for ever; no client may wait for another one
    raise NotImplementedError("lab 1, step 1.4")


def main() -> None:
    """Serve at the address on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    serve((host, int(port)))


if __name__ == "__main__":
    main()
