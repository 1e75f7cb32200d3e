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
    # BEGIN SOLUTION step-1.3 "send the length in four bytes, then the message, all of it"
    connection.sendall(len(message).to_bytes(LENGTH_BYTES, "big") + message)
    # END SOLUTION


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Receive that many bytes, in however many pieces they come; fewer only if the stream ends before."""
    # BEGIN SOLUTION step-1.3 "receive what is still missing, until nothing is missing or the stream ends"
    received = bytearray()
    while len(received) < size and (piece := connection.recv(min(size - len(received), 65_536))):
        received += piece
    return bytes(received)
    # END SOLUTION


def receive_message(connection: socket.socket) -> bytes | None:
    """Receive one whole message, or None if the peer closed its side before another one began.

    Raises:
        ConnectionError: The stream ended inside a message.
        ValueError: The peer announced more than MAX_MESSAGE_BYTES (step 1.5).
    """
    # BEGIN SOLUTION step-1.3 "receive the length, then as many bytes; step 1.5: do not trust the length"
    prefix = receive_exactly(connection, LENGTH_BYTES)
    if not prefix:
        return None
    size = int.from_bytes(prefix, "big")
    if len(prefix) == LENGTH_BYTES and size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size} bytes is announced")
    message = receive_exactly(connection, size)
    if len(prefix) < LENGTH_BYTES or len(message) < size:
        raise ConnectionError("the stream ended inside a message")
    return message
    # END SOLUTION
