"""Step 1.1, with the standard library's server framework."""

import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    """One client's conversation."""

    def handle(self) -> None:
        """Answer pieces until there are none."""
        for piece in iter(lambda: self.request.recv(4096), b""):
            self.request.sendall(piece + b"*")


if __name__ == "__main__":
    host, port = sys.argv[1].split(":")
    socketserver.TCPServer.allow_reuse_address = True
    with socketserver.TCPServer((host, int(port)), Echo) as server:
        server.serve_forever()
