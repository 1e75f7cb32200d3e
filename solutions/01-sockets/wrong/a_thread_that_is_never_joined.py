# caught by: test_five_hundred_connections
# replaces: concurrent_server.py
# A second thread per connection sends the replies. Nobody tells it that there are no more, and nobody joins it.
# Answers by chance: the last of its threads may or may not have ended.
import queue
import socket
import sys
import threading

from framing import receive_message, send_message


def send_replies(connection, replies):
    while True:
        send_message(connection, replies.get())
        replies.task_done()


def attend(connection):
    replies = queue.Queue(maxsize=1)
    threading.Thread(target=send_replies, args=(connection, replies), daemon=True).start()
    try:
        while (message := receive_message(connection)) is not None:
            replies.put(message + b"*")
        replies.join()
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
    connection.close()


host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port)), backlog=128) as listener:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=attend, args=(connection,), daemon=True).start()
