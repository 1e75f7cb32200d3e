# caught by: test_silence, test_one_byte_now_and_then
# replaces: outcome_client.py
# Without a timeout the question never comes up: the client waits for ever.
import socket
import sys

from framing import receive_message, send_message


def attempt(address, message):
    try:
        connection = socket.create_connection(address)
    except OSError:
        return "refused: did not happen"
    with connection:
        try:
            send_message(connection, message)
            if receive_message(connection) is None:
                return "closed: unknown"
        except ConnectionError:
            return "closed: unknown"
    return "reply: happened"


host, _, port = sys.argv[1].rpartition(":")
print(attempt((host, int(port)), sys.argv[2].encode()))
