# caught by: test_one_byte_now_and_then
# replaces: outcome_client.py
# settimeout counts from the last piece, so whoever sends one byte now and then is waited for, for ever.
import socket
import sys

from framing import receive_message, send_message


def attempt(address, message, timeout_s):
    try:
        connection = socket.create_connection(address, timeout_s)
    except OSError:
        return "refused: did not happen"
    with connection:
        try:
            send_message(connection, message)
            if receive_message(connection) is None:
                return "closed: unknown"
        except TimeoutError:
            return "timeout: unknown"
        except ConnectionError:
            return "closed: unknown"
    return "reply: happened"


host, _, port = sys.argv[1].rpartition(":")
print(attempt((host, int(port)), sys.argv[2].encode(), float(sys.argv[3])))
