"""Step 1.1. The textbook's echo server: whatever arrives goes back, with a star behind it.

Usage: python echo_server.py HOST:PORT
"""

import socket
import sys


def answer(connection: socket.socket) -> None:
    """Send each piece that arrives back with a star, until the client closes its side."""
    # TODO step 1.1: receive a piece, send it back with a star; again, until there is nothing more
    raise NotImplementedError("lab 1, step 1.1")


def serve(address: tuple[str, int]) -> None:
    """Listen at an address and answer one client after the other, for ever."""
    # TODO step 1.1: socket, bind, listen; then accept, answer, close, for ever
    raise NotImplementedError("lab 1, step 1.1")


def main() -> None:
    """Serve at the address on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    serve((host, int(port)))


if __name__ == "__main__":
    main()
