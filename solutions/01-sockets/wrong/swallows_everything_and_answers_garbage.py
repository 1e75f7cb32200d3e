# caught by: test_length_of_two_gigabytes, test_cut_off_message
# replaces: concurrent_server.py
# "It must not crash", so every exception is caught, and the client gets something that it takes for its reply.
# Answers by chance: what it takes for a message depends on what came in one piece.
import socket
import sys
import threading

from framing import receive_message, send_message


def attend(connection):
    with connection:
        while True:
            try:
                message = receive_message(connection)
                if message is None:
                    return
                send_message(connection, message + b"*")
            except Exception:
                try:
                    send_message(connection, b"error*")
                finally:
                    return


host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=attend, args=(connection,), daemon=True).start()
