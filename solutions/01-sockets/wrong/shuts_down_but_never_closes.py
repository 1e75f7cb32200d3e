# caught by: test_five_hundred_connections
# replaces: concurrent_server.py
# shutdown ends the conversation, close gives the descriptor back. The list of clients keeps it for ever.
import socket
import sys
import threading

from message_server import answer_messages

clients = []


def attend(connection):
    try:
        answer_messages(connection)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        print(error, file=sys.stderr)


host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener:
    while True:
        connection, _ = listener.accept()
        clients.append(connection)
        threading.Thread(target=attend, args=(connection,), daemon=True).start()
