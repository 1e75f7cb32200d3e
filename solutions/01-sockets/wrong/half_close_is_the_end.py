# caught by: test_half_closed_connection
# replaces: concurrent_server.py
# recv returned b"", so the connection is closed, together with the replies that still wait to be sent.
import selectors
import socket
import sys

from framing import MAX_MESSAGE_BYTES

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
selector = selectors.DefaultSelector()


class Client:
    def __init__(self, connection):
        connection.setblocking(False)
        self.connection, self.received, self.replies = connection, bytearray(), bytearray()
        selector.register(connection, READ, self)

    def read(self):
        piece = self.connection.recv(65_536)
        if not piece:
            raise ConnectionError("the client has closed")
        self.received += piece
        while len(self.received) >= 4:
            size = int.from_bytes(self.received[:4], "big")
            if size > MAX_MESSAGE_BYTES:
                raise ConnectionError("too long")
            if len(self.received) < 4 + size:
                break
            self.replies += (size + 1).to_bytes(4, "big") + self.received[4 : 4 + size] + b"*"
            del self.received[: 4 + size]

    def write(self):
        sent = self.connection.send(self.replies)
        del self.replies[:sent]

    def step(self, events):
        try:
            if events & READ:
                self.read()
            if events & WRITE:
                self.write()
            wanted = (WRITE if self.replies else 0) | (READ if len(self.replies) < MAX_MESSAGE_BYTES else 0)
            selector.modify(self.connection, wanted, self)
        except OSError as error:
            print(error, file=sys.stderr)
            selector.unregister(self.connection)
            self.connection.close()


host, _, port = sys.argv[1].rpartition(":")
listener = socket.create_server((host, int(port)), backlog=128)
selector.register(listener, READ)
while True:
    for key, events in selector.select():
        if key.data is None:
            Client(listener.accept()[0])
        else:
            key.data.step(events)
