# caught by: test_client_in_mid_message, test_client_that_never_reads
# replaces: concurrent_server.py
# A selector says that something can be read, not that a whole message can: the rest is waited for, by everybody.
# Answers by chance: whether it notices that the check has left, before the report is made.
import selectors
import socket
import sys

from framing import receive_message, send_message

host, _, port = sys.argv[1].rpartition(":")
selector = selectors.DefaultSelector()
listener = socket.create_server((host, int(port)), backlog=128)
selector.register(listener, selectors.EVENT_READ)
while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            selector.register(listener.accept()[0], selectors.EVENT_READ)
            continue
        connection = key.fileobj
        try:
            message = receive_message(connection)
            if message is not None:
                send_message(connection, message + b"*")
                continue
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
        selector.unregister(connection)
        connection.close()
