# caught by: test_fifty_clients, test_silent_client, test_client_in_mid_message, test_client_that_never_reads
# replaces: concurrent_server.py
# The iterative server: whoever is connected first keeps all the others waiting.
# Answers by chance: whether it notices that the check has left, before it is ended itself.
import socket
import sys

from message_server import answer_messages

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                answer_messages(connection)
            except (OSError, ValueError) as error:
                print(error, file=sys.stderr)
