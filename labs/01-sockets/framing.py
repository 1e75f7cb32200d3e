"""Steps 1.3 and 1.5. Messages over a byte stream.

On the wire a message is its length, in four bytes, the most significant first, and then its bytes::

    00 00 00 05  H e l l o
"""

import socket

LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = 8_000_000
"""The longest message that a program of this lab receives; a star may make the answer to it longer by one."""


def send_message(connection: socket.socket, message: bytes) -> None:
    """Send one message: its length, then its bytes."""
    # TODO step 1.3: send the length in four bytes, then the message, all of it
    raise NotImplementedError("lab 1, step 1.3")


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Receive that many bytes, in however many pieces they come; fewer only if the stream ends before."""
    # TODO step 1.3: receive what is still missing, until nothing is missing or the stream ends
    raise NotImplementedError("lab 1, step 1.3")


def receive_message(connection: socket.socket) -> bytes | None:
    """Receive one whole message, or None if the peer closed its side before another one began.

    Raises:
        ConnectionError: The stream ended inside a message.
        ValueError: The peer announced more than MAX_MESSAGE_BYTES (step 1.5).
    """
    # TODO step 1.3: receive the length, then as many bytes; step 1.5: do not trust the length
    raise NotImplementedError("lab 1, step 1.3")
