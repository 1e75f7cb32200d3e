"""Step 1.1. The textbook's echo server: whatever arrives goes back, with a star behind it.

Usage: python echo_server.py HOST:PORT
"""

import socket
import sys


def answer(connection: socket.socket) -> None:
    """Send each piece that arrives back with a star, until the client closes its side."""
    # BEGIN SOLUTION step-1.1 "receive a piece, send it back with a star; again, until there is nothing more"
    while piece := connection.recv(1024):
        connection.sendall(piece + b"*")
    # END SOLUTION


def serve(address: tuple[str, int]) -> None:
    """Listen at an address and answer one client after the other, for ever."""
    # BEGIN SOLUTION step-1.1 "socket, bind, listen; then accept, answer, close, for ever"
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a restart may have to wait
    listener.bind(address)
    listener.listen()
    while True:
        connection, _ = listener.accept()
        with connection:
            answer(connection)
    # END SOLUTION


def main() -> None:
    """Serve at the address on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    serve((host, int(port)))


if __name__ == "__main__":
    main()
