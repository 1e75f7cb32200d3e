# caught by: test_reset_in_mid_message, test_client_that_never_reads
# replaces: concurrent_server.py
# recv raises ConnectionResetError. With one thread for all, what nobody catches ends everything.
import selectors
import socket
import sys

from framing import MAX_MESSAGE_BYTES, send_message

host, _, port = sys.argv[1].rpartition(":")
selector = selectors.DefaultSelector()
listener = socket.create_server((host, int(port)), backlog=128)
selector.register(listener, selectors.EVENT_READ)


def answer(connection, buffer):
    """Answer what is complete; say whether the connection goes on."""
    piece = connection.recv(65_536)
    buffer += piece
    while len(buffer) >= 4:
        size = int.from_bytes(buffer[:4], "big")
        if size > MAX_MESSAGE_BYTES:
            return False
        if len(buffer) < 4 + size:
            break
        send_message(connection, bytes(buffer[4 : 4 + size]) + b"*")
        del buffer[: 4 + size]
    return bool(piece)


while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            selector.register(listener.accept()[0], selectors.EVENT_READ, bytearray())
        elif not answer(key.fileobj, key.data):
            selector.unregister(key.fileobj)
            key.fileobj.close()
