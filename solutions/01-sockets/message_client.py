"""Step 1.3. A client for messages: one connection, one message after the other.

Usage: python message_client.py HOST:PORT FOLDER

Each file NAME.message in the folder is a message; its reply is written to NAME.reply.
"""

# BEGIN SOLUTION DELETE
import socket

# END SOLUTION
import sys
from pathlib import Path

# BEGIN SOLUTION DELETE
from framing import receive_message, send_message

# END SOLUTION

TIMEOUT_S = 30.0
"""A server that says nothing for so long is given up."""


def exchange(address: tuple[str, int], messages: list[bytes]) -> list[bytes]:
    """Send each message and receive its reply, in order, over one connection.

    Raises:
        ConnectionError: The server closed before it had answered every message.
    """
    # BEGIN SOLUTION step-1.3 "connect with TIMEOUT_S; for each message send it and receive its reply"
    replies = []
    with socket.create_connection(address, timeout=TIMEOUT_S) as connection:
        for message in messages:
            send_message(connection, message)
            reply = receive_message(connection)
            if reply is None:
                raise ConnectionError("the server closed before it answered")
            replies.append(reply)
    return replies
    # END SOLUTION


def main() -> None:
    """Exchange the messages in the folder on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    files = sorted(Path(sys.argv[2]).glob("*.message"))
    replies = exchange((host, int(port)), [file.read_bytes() for file in files])
    for file, reply in zip(files, replies, strict=True):
        file.with_suffix(".reply").write_bytes(reply)
        print(f"{file.stem}: {file.stat().st_size} bytes sent, {len(reply)} received")


if __name__ == "__main__":
    main()
