# caught by: test_client_that_never_reads
# replaces: concurrent_server.py
# An answer that is not taken at once is given up, and the next message is read: it hangs on nobody, but loses answers.
# Answers by chance: how the connection of a client that never reads ends.
import socket
import sys
import threading
from contextlib import suppress

from framing import receive_message, send_message


def attend(connection):
    with connection:
        try:
            while True:
                connection.settimeout(None)
                message = receive_message(connection)
                if message is None:
                    return
                connection.settimeout(0.05)
                with suppress(TimeoutError):
                    send_message(connection, message + b"*")
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)


host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=attend, args=(connection,), daemon=True).start()
