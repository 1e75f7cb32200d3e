# caught by: test_closed_before_the_reply
# replaces: outcome_client.py
# At the end of the stream it gives what it has. No length at all is read as 0, and nothing at all is a whole reply.
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
            break
        received += piece
    return bytes(received)


def attempt(address, message, timeout_s):
    deadline_s = time.monotonic() + timeout_s
    try:
        connection = socket.create_connection(address, timeout=timeout_s)
    except OSError:
        return "refused: did not happen"
    with connection:
        try:
            send_message(connection, message)
            size = int.from_bytes(receive_until(deadline_s, connection, LENGTH_BYTES), "big")
            if len(receive_until(deadline_s, connection, size)) < size:
                return "closed: unknown"
        except TimeoutError:
            return "timeout: unknown"
        except ConnectionError:
            return "closed: unknown"
    return "reply: happened"


host, _, port = sys.argv[1].rpartition(":")
print(attempt((host, int(port)), sys.argv[2].encode(), float(sys.argv[3])))
