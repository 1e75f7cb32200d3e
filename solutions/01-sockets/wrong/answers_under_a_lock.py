# caught by: test_client_that_never_reads
# replaces: concurrent_server.py
# One lock for all answers, lest two threads write at once. Whoever does not read its answer keeps the lock.
# Answers by chance: how the connection of a client that never reads ends.
import socket
import sys
import threading

from framing import receive_message, send_message

lock = threading.Lock()


def attend(connection):
    with connection:
        try:
            while (message := receive_message(connection)) is not None:
                with lock:
                    send_message(connection, message + b"*")
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)


host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=attend, args=(connection,), daemon=True).start()
