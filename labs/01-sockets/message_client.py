"""Step 1.3. A client for messages: one connection, one message after the other.

Usage: python message_client.py HOST:PORT FOLDER

Each file NAME.message in the folder is a message; its reply is written to NAME.reply.
"""

import sys
from pathlib import Path

TIMEOUT_S = 30.0
"""A server that says nothing for so long is given up."""


def exchange(address: tuple[str, int], messages: list[bytes]) -> list[bytes]:
    """Send each message and receive its reply, in order, over one connection.

    Raises:
        ConnectionError: The server closed before it had answered every message.
    """
    # TODO step 1.3: connect with TIMEOUT_S; for each message send it and receive its reply
    raise NotImplementedError("lab 1, step 1.3")


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
