"""Step 1.3. An echo server for messages: it answers each message, however the network delivers it.

Usage: python message_server.py HOST:PORT
"""

import socket
import sys


def answer_messages(connection: socket.socket) -> None:
    """Answer each message with the same bytes and a star, until the client closes its side."""
    # TODO step 1.3: receive a message, answer it; again, until there is none
    raise NotImplementedError("lab 1, step 1.3")


def serve(address: tuple[str, int]) -> None:
    """Serve one client after the other."""
    with socket.create_server(address) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                answer_messages(connection)


def main() -> None:
    """Serve at the address on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    serve((host, int(port)))


if __name__ == "__main__":
    main()
