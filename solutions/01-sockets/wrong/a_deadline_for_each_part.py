# caught by: test_one_byte_now_and_then
# replaces: outcome_client.py
# The time begins anew behind the length: together, two parts take up to twice as long as there is.
import socket
import sys
import time

from framing import LENGTH_BYTES, send_message


def receive_until(deadline_s, connection, size):
    received = bytearray()
    while len(received) < size:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the server closed before it had answered")
        received += piece
    return bytes(received)


def attempt(address, message, timeout_s):
    try:
        connection = socket.create_connection(address, timeout=timeout_s)
    except OSError:
        return "refused: did not happen"
    with connection:
        try:
            send_message(connection, message)
            size = int.from_bytes(receive_until(time.monotonic() + timeout_s, connection, LENGTH_BYTES), "big")
            receive_until(time.monotonic() + timeout_s, connection, size)
        except TimeoutError:
            return "timeout: unknown"
        except ConnectionError:
            return "closed: unknown"
    return "reply: happened"


host, _, port = sys.argv[1].rpartition(":")
print(attempt((host, int(port)), sys.argv[2].encode(), float(sys.argv[3])))
