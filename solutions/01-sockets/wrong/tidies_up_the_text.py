# caught by: test_pieces_with_a_star
# replaces: echo_server.py
# The line break at the end is in the way when the pieces are printed, so it is stripped.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            while piece := connection.recv(1024):
                connection.sendall(piece.strip() + b"*")
