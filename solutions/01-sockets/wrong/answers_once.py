# caught by: test_pieces_with_a_star
# replaces: echo_server.py
# One recv, one send, and on to the next client: the inner loop is missing.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(connection.recv(1024) + b"*")
