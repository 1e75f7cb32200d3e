# caught by: test_fifty_clients, test_silent_client
# replaces: concurrent_server.py
# A pool of threads is a fine thing for short jobs. A connection is as long a job as its client likes.
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

from message_server import answer_messages


def attend(connection):
    with connection:
        try:
            answer_messages(connection)
        except (OSError, ValueError):
            return


host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener, ThreadPoolExecutor(8) as pool:
    while True:
        connection, _ = listener.accept()
        pool.submit(attend, connection)
