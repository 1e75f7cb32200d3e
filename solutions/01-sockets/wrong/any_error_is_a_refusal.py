# caught by: test_closed_before_the_reply
# replaces: outcome_client.py
# A connection that was there and broke is not one that never was: the request may have got through.
import socket
import sys
import time

from framing import send_message


def receive_until(deadline_s, connection, size):
    received = bytearray()
    while len(received) < size:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError
        received += piece
    return bytes(received)


def attempt(address, message, timeout_s):
    deadline_s = time.monotonic() + timeout_s
    try:
        with socket.create_connection(address, timeout_s) as connection:
            send_message(connection, message)
            size = int.from_bytes(receive_until(deadline_s, connection, 4), "big")
            receive_until(deadline_s, connection, size)
    except TimeoutError:
        return "timeout: unknown"
    except ConnectionError:
        return "refused: did not happen"
    return "reply: happened"


host, _, port = sys.argv[1].rpartition(":")
print(attempt((host, int(port)), sys.argv[2].encode(), float(sys.argv[3])))
