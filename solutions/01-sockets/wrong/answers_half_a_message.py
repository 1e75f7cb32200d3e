# caught by: test_client_whose_server_closes, test_cut_off_message
# replaces: framing.py
# When the stream ends, what has come so far is taken for the message.
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
    if not prefix:
        return None
    size = int.from_bytes(prefix, "big")
    if size > MAX_MESSAGE_BYTES:
        raise ValueError("too long")
    return receive_exactly(connection, size)
