"""Step 1.2. The echo server's client: it sends one text and prints what comes back.

Usage: python echo_client.py HOST:PORT TEXT
"""

import sys


def exchange(address: tuple[str, int], data: bytes) -> bytes:
    """Send all the data to the server and return everything that it sends back."""
    # TODO step 1.2: connect, send all, say that this was all, receive until the server closes
    raise NotImplementedError("lab 1, step 1.2")


def main() -> None:
    """Send the text on the command line; print the reply, byte for byte."""
    host, _, port = sys.argv[1].rpartition(":")
    reply = exchange((host, int(port)), sys.argv[2].encode())
    sys.stdout.buffer.write(reply + b"\n")


if __name__ == "__main__":
    main()
