"""Step 1.2. The echo server's client: it sends one text and prints what comes back.

Usage: python echo_client.py HOST:PORT TEXT
"""

# BEGIN SOLUTION DELETE
import socket

# END SOLUTION
import sys


def exchange(address: tuple[str, int], data: bytes) -> bytes:
    """Send all the data to the server and return everything that it sends back."""
    # BEGIN SOLUTION step-1.2 "connect, send all, say that this was all, receive until the server closes"
    with socket.create_connection(address) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        reply = bytearray()
        while piece := connection.recv(1024):
            reply += piece
        return bytes(reply)
    # END SOLUTION


def main() -> None:
    """Send the text on the command line; print the reply, byte for byte."""
    host, _, port = sys.argv[1].rpartition(":")
    reply = exchange((host, int(port)), sys.argv[2].encode())
    sys.stdout.buffer.write(reply + b"\n")


if __name__ == "__main__":
    main()
