# caught by: test_length_of_two_gigabytes
# replaces: framing.py
# A limit that looks reasonable, but is not the one that was agreed upon.
# Answers by chance: whether it notices that the check has left, before the report is made.
LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = 1_000_000_000


def send_message(connection, message):
    connection.sendall(len(message).to_bytes(LENGTH_BYTES, "big") + message)


def receive_exactly(connection, size):
    received = bytearray()
    while len(received) < size and (piece := connection.recv(min(size - len(received), 65_536))):
        received += piece
    return bytes(received)



def receive_message(connection):
    prefix = receive_exactly(connection, LENGTH_BYTES)
    if not prefix:
        return None
    size = int.from_bytes(prefix, "big")
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size} bytes is announced")
    message = receive_exactly(connection, size)
    if len(prefix) < LENGTH_BYTES or len(message) < size:
        raise ConnectionError("the stream ended inside a message")
    return message
