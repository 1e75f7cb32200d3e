"""Steps 1.4 and 1.5. The message server for many clients at once, and for clients that misbehave.

Usage: python concurrent_server.py HOST:PORT
"""

import socket
import sys

# BEGIN SOLUTION DELETE
import threading

from message_server import answer_messages

# END SOLUTION


def attend(connection: socket.socket) -> None:
    """Answer one client until it closes or breaks, and leave nothing of it behind (step 1.5)."""
    # BEGIN SOLUTION step-1.4 "answer this client's messages, then close; step 1.5: whatever the client does"
    with connection:
        try:
            answer_messages(connection)
        except (OSError, ValueError) as error:  # the client's doing, and no reason to stop: drop it
            print(f"dropped a client: {error}", file=sys.stderr)
    # END SOLUTION


def serve(address: tuple[str, int]) -> None:
    """Attend to every client that comes, all at the same time."""
    # BEGIN SOLUTION step-1.4 "listen; accept for ever; no client may wait for another one"
    with socket.create_server(address, backlog=128) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=attend, args=(connection,), daemon=True).start()
    # END SOLUTION


def main() -> None:
    """Serve at the address on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    serve((host, int(port)))


if __name__ == "__main__":
    main()
