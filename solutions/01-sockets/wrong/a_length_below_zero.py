# caught by: test_length_of_two_gigabytes
# replaces: framing.py
# "!i" for "!I": the length has a sign, and the largest one of all is -1, which is below every limit.
import struct

PREFIX = struct.Struct("!i")
LENGTH_BYTES = PREFIX.size
MAX_MESSAGE_BYTES = 8_000_000


def send_message(connection, message):
    connection.sendall(PREFIX.pack(len(message)) + message)


def receive_exactly(connection, size):
    received = bytearray()
    while len(received) < size and (piece := connection.recv(min(size - len(received), 65_536))):
        received += piece
    return bytes(received)


def receive_message(connection):
    prefix = receive_exactly(connection, LENGTH_BYTES)
    if not prefix:
        return None
    if len(prefix) < LENGTH_BYTES:
        raise ConnectionError("the stream ended inside a length")
    (size,) = PREFIX.unpack(prefix)
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size} bytes is announced")
    message = receive_exactly(connection, size)
    if len(message) < size:
        raise ConnectionError("the stream ended inside a message")
    return message
