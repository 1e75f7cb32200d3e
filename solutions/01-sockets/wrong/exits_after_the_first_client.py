# caught by: test_next_client
# replaces: echo_server.py
# The textbook's program as it stands: accept once, serve once, done.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    connection, _ = listener.accept()
    while piece := connection.recv(1024):
        connection.sendall(piece + b"*")
    connection.close()
