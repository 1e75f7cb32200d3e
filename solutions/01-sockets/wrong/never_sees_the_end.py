# caught by: test_next_client
# replaces: echo_server.py
# recv returns b"" when the client has closed. Who does not look answers nothing with a star, for ever.
# Answers by chance: whether it notices that the check has left, before it is ended itself.
import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            while True:
                piece = connection.recv(1024)
                connection.sendall(piece + b"*")
