# caught by: test_reply_and_refusal
# replaces: outcome_client.py
# The connection is made before the try: when nobody listens, the program ends with a traceback, not an outcome.
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
    with socket.create_connection(address, timeout_s) as connection:
        try:
            send_message(connection, message)
            size = int.from_bytes(receive_until(deadline_s, connection, 4), "big")
            receive_until(deadline_s, connection, size)
        except TimeoutError:
            return "timeout: unknown"
        except ConnectionError:
            return "closed: unknown"
    return "reply: happened"


host, _, port = sys.argv[1].rpartition(":")
print(attempt((host, int(port)), sys.argv[2].encode(), float(sys.argv[3])))
