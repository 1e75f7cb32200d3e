# caught by: test_next_client
# replaces: echo_server.py
# Accepts once, like the textbook's program, and gives up its address before it serves: one client is enough.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    connection, _ = listener.accept()
while piece := connection.recv(1024):
    connection.sendall(piece + b"*")
connection.close()
