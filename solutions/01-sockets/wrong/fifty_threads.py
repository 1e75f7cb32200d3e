# caught by: test_silent_client
# replaces: concurrent_server.py
# As many threads as there were clients in the text: fifty. The next one waits until one of them leaves.
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

from message_server import answer_messages


def attend(connection):
    with connection:
        try:
            answer_messages(connection)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)


host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener, ThreadPoolExecutor(50) as pool:
    while True:
        connection, _ = listener.accept()
        pool.submit(attend, connection)
