"""Step 1.6. Request and reply over UDP, where datagrams get lost, doubled and late.

Usage: python udp_client.py HOST:PORT FILE TIMEOUT_S TRIES

Each line of the file is a request; each reply is printed on a line. A request that stays without a reply ends
the program with "no reply" and exit status 1.

A datagram is a header of nine bytes and the payload. The header is the request's id (eight bytes, the most
significant first) and the kind: 1 for a request, 2 for a reply. The server copies the id into its reply.
"""

import pathlib
import secrets
import socket
import struct
import sys

HEADER = struct.Struct("!QB")
REQUEST, REPLY = 1, 2
MAX_DATAGRAM_BYTES = 65_535


def ask(channel: socket.socket, request_id: int, payload: bytes, timeout_s: float, tries: int) -> bytes:
    """Send a request until its own reply comes, and return the reply's payload.

    Args:
        channel: A UDP socket that is connected to the server.
        request_id: No other request of this program has it.
        payload: What to ask.
        timeout_s: How long to wait for a reply before sending again.
        tries: How often to send at most.

    Raises:
        TimeoutError: No reply came after the last try.
        ConnectionRefusedError: Nobody listens there (the network may tell, or not).
    """
    # TODO step 1.6: send; wait timeout_s for the reply with this id; if none comes, send again
    raise NotImplementedError("lab 1, step 1.6")


def main() -> None:
    """Ask each line of the file on the command line."""
    host, _, port = sys.argv[1].rpartition(":")
    first_id = secrets.randbits(63)  # not 1: a late reply to an earlier run must not look like ours
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.connect((host, int(port)))
        for number, line in enumerate(pathlib.Path(sys.argv[2]).read_text().splitlines()):
            try:
                reply = ask(channel, first_id + number, line.encode(), float(sys.argv[3]), int(sys.argv[4]))
            except OSError:  # a TimeoutError, or "nobody listens there"
                sys.exit("no reply")
            print(reply.decode())


if __name__ == "__main__":
    main()
