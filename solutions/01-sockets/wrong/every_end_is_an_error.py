# caught by: test_next_client_with_messages
# replaces: framing.py
# The end of the stream is always an error, also between two messages, where every client ends.
# Answers by chance: whether the next client still gets a connection before the server has ended.
LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = 8_000_000


def send_message(connection, message):
    connection.sendall(len(message).to_bytes(LENGTH_BYTES, "big") + message)


def receive_exactly(connection, size):
    received = bytearray()
    while len(received) < size and (piece := connection.recv(min(size - len(received), 65_536))):
        received += piece
    return bytes(received)



def receive_message(connection):
    prefix = receive_exactly(connection, LENGTH_BYTES)
    size = int.from_bytes(prefix, "big")
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size} bytes is announced")
    message = receive_exactly(connection, size)
    if len(prefix) < LENGTH_BYTES or len(message) < size:
        raise ConnectionError("the stream ended inside a message")
    return message
