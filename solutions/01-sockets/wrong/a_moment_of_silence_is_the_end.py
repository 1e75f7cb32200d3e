# caught by: test_client_is_done, test_reply_in_pieces
# replaces: echo_client.py
# Nothing for half a second: that must have been all. The server meanwhile waits for more from us.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
reply = b""
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(sys.argv[2].encode())
    connection.settimeout(0.5)
    try:
        while piece := connection.recv(1024):
            reply += piece
    except TimeoutError:
        pass
sys.stdout.buffer.write(reply + b"\n")
